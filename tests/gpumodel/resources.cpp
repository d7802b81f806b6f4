#include "tests/gpumodel/resources.h"

#include <cuda_occupancy.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>

#include "tests/gpumodel/step.h"
#include "tests/softgpu/runtime/device.h"
#include "tests/softgpu/runtime/kernels.h"

namespace aid::gpumodel {
namespace {

namespace fs = std::filesystem;
using softgpu::runtime::Binary;

std::string contents(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Under a name of its own until it is whole: programs may run beside each other.
void write(const fs::path& file, const std::string& text) {
  const fs::path part = file.string() + "." + std::to_string(getpid());
  std::ofstream(part, std::ios::binary) << text;
  fs::rename(part, file);
}

// What a command prints, with its errors.
std::string output_of(const std::string& command) {
  std::string text;
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
  if (pclose(pipe) != 0) throw std::runtime_error(command + " failed:\n" + text);
  return text;
}

// ptxas -v about one file's PTX.
std::string report_of(const Binary& binary, int architecture) {
  const fs::path folder = AID_PTXAS_CACHE;
  fs::create_directories(folder);
  const std::string stem = fs::path(binary.name).filename().string() + "." + kArchitecture[architecture];
  const fs::path log = folder / (stem + ".log"), ptx = folder / (stem + ".ptx");
  const std::string source = "// ptxas " + ptxas_version() + "\n" + std::string(binary.ptx());
  if (fs::exists(log) && contents(ptx) == source) return contents(log);
  fs::remove(log);
  write(ptx, source);
  write(log, output_of(std::string(AID_PTXAS) + " -v -arch=" + kArchitecture[architecture] + " '" + ptx.string() +
                       "' -o /dev/null"));
  return contents(log);
}

void parse(const std::string& report, std::map<std::string, Resources>& kernels) {
  static const std::regex entry("Compiling entry function '([^']+)'"),
      spills("(\\d+) bytes spill stores, (\\d+) bytes spill"), registers("Used (\\d+) registers"),
      shared(", (\\d+) bytes smem");
  std::istringstream lines(report);
  Resources* of = nullptr;
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    if (std::regex_search(line, found, entry)) of = &kernels[softgpu::runtime::demangle(found[1])];
    if (of == nullptr) continue;
    if (std::regex_search(line, found, spills)) of->spilled = std::stoi(found[1]) + std::stoi(found[2]);
    if (std::regex_search(line, found, registers)) of->registers = std::stoi(found[1]);
    if (std::regex_search(line, found, shared)) of->shared = std::stoul(found[1]);
  }
}

}  // namespace

std::string ptxas_version() {
  static const std::string version = [] {
    const std::string text = output_of(std::string(AID_PTXAS) + " --version");
    std::smatch found;
    if (!std::regex_search(text, found, std::regex("V([0-9.]+)"))) throw std::runtime_error("no version in: " + text);
    return found[1].str();
  }();
  return version;
}

std::map<std::string, Resources> assemble(int architecture) {
  std::set<const Binary*> binaries;
  for (const auto& [host, function] : softgpu::runtime::functions()) binaries.insert(function.binary);
  std::map<std::string, Resources> kernels;
  for (const Binary* binary : binaries) parse(report_of(*binary, architecture), kernels);
  return kernels;
}

int blocks_per_processor(int architecture, const Resources& resources, int threads, size_t dynamic_shared) {
  softgpu::set_device(architecture == 0 ? 8 : 9);
  const softgpu::runtime::DeviceLimits limits = softgpu::runtime::limits();
  softgpu::set_device(8);
  cudaOccDeviceProp device;
  device.computeMajor = limits.major;
  device.computeMinor = limits.minor;
  device.maxThreadsPerBlock = 1024;
  device.maxThreadsPerMultiprocessor = softgpu::runtime::kThreadsPerProcessor;
  device.regsPerBlock = device.regsPerMultiprocessor = softgpu::runtime::kRegisters;
  device.warpSize = 32;
  device.sharedMemPerBlock = softgpu::runtime::kStaticShared;
  device.sharedMemPerMultiprocessor = static_cast<size_t>(limits.shared_per_processor);
  device.numSms = limits.processors;
  device.sharedMemPerBlockOptin = static_cast<size_t>(limits.shared_per_block);
  device.reservedSharedMemPerBlock = softgpu::runtime::kReservedShared;
  cudaOccFuncAttributes kernel;
  kernel.maxThreadsPerBlock = 1024;
  kernel.numRegs = resources.registers;
  kernel.sharedSizeBytes = resources.shared;
  kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
  kernel.maxDynamicSharedSizeBytes = dynamic_shared;
  kernel.numBlockBarriers = 1;
  const cudaOccDeviceState state;
  cudaOccResult result;
  if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, dynamic_shared) !=
      CUDA_OCC_SUCCESS) {
    throw std::runtime_error("cuda_occupancy.h refuses a block of " + std::to_string(threads) + " threads");
  }
  return result.activeBlocksPerMultiprocessor;
}

ResourceTable current_table() {
  std::map<std::string, Resources> kernels[kArchitectures];
  for (int a = 0; a < kArchitectures; ++a) kernels[a] = assemble(a);
  std::map<std::tuple<std::string, int, size_t>, ResourceRow> rows;
  const auto add = [&](const std::vector<Op>& ops) {
    for (const Op& op : ops) {
      for (const softgpu::Launch& launch : op.launches) {
        const auto threads = static_cast<int>(launch.block.count());
        ResourceRow row{.kernel = short_name(launch.kernel),
                        .threads = threads,
                        .shared = kernels[0].at(launch.kernel).shared + launch.dynamic_shared};
        for (int a = 0; a < kArchitectures; ++a) {
          const Resources& resources = kernels[a].at(launch.kernel);
          row.registers[a] = resources.registers;
          row.blocks[a] = blocks_per_processor(a, resources, threads, launch.dynamic_shared);
        }
        rows[{row.kernel, threads, row.shared}] = row;
      }
    }
  };
  for (const DType compute : {DType::f32, DType::bf16}) {
    for (const bool training : {false, true}) {
      add(count_step({.compute = compute, .training = training, .layers = 2, .sampled_blocks = 1}));
    }
  }
  add(count_textcat(1));
  ResourceTable table{.version = ptxas_version()};
  for (const auto& [key, row] : rows) table.rows.push_back(row);
  return table;
}

std::string to_text(const ResourceTable& table) {
  std::string text =
      "# The kernels of BETO's steps (8 texts of 128 tokens) and of spaCy's text categorizer, and what limits how\n"
      "# many of their blocks a multiprocessor holds. Written by ./dev gpu-table; a test compares. occ: threads per\n"
      "# cent of the 2,048 that there is room for.\n"
      "# ptxas " +
      table.version +
      "\n"
      "#                   sm_80               sm_90a\n"
      "# threads  shared   regs blocks  occ    regs blocks  occ   kernel\n";
  for (const ResourceRow& row : table.rows) {
    char line[128];
    const auto occupancy = [&](int a) {
      return row.blocks[a] * row.threads * 100 / softgpu::runtime::kThreadsPerProcessor;
    };
    std::snprintf(line, sizeof line, "  %7d %7zu   %4d %6d %4d    %4d %6d %4d   ", row.threads, row.shared,
                  row.registers[0], row.blocks[0], occupancy(0), row.registers[1], row.blocks[1], occupancy(1));
    text += line + row.kernel + "\n";
  }
  return text;
}

ResourceTable read_table(const std::string& file) {
  ResourceTable table;
  std::istringstream lines(contents(file));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ptxas ")) table.version = line.substr(8);
    if (line.starts_with("#")) continue;
    ResourceRow row;
    std::istringstream words(line);
    int occupancy;
    words >> row.threads >> row.shared >> row.registers[0] >> row.blocks[0] >> occupancy >> row.registers[1] >>
        row.blocks[1] >> occupancy >> std::ws;
    if (!std::getline(words, row.kernel)) throw std::runtime_error(file + ": not a line of the table: " + line);
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace aid::gpumodel
