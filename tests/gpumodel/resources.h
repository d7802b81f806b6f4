// What ptxas gives each kernel: registers, spills, shared memory; and how many blocks a multiprocessor can then hold.
// From the PTX that the program's object files carry, so that no build needs machine code for it. (For sm_90a nvcc
// makes PTX of its own; what ptxas does with it may differ by a register or two.)
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/softgpu/report.h"

namespace aid::gpumodel {

struct Resources {
  int registers = 0;  // of a thread
  int spilled = 0;    // bytes of spill stores and loads of a thread
  size_t shared = 0;  // static, bytes of a block
};

inline constexpr int kArchitectures = 2;
inline constexpr const char* kArchitecture[kArchitectures] = {"sm_80", "sm_90a"};

// Of every kernel of the program, by demangled name. ptxas runs where its result for the same PTX is not in the cache,
// a folder of the build tree. Throws std::runtime_error with ptxas' words.
std::map<std::string, Resources> assemble(int architecture);
std::string ptxas_version();  // "13.0.88"

// Blocks that a multiprocessor holds at once (NVIDIA's cuda_occupancy.h).
int blocks_per_processor(int architecture, const Resources& resources, int threads, size_t dynamic_shared);

// A kernel as a step of BETO, or a text categorizer's op, launches it.
struct ResourceRow {
  std::string kernel;  // short_name()
  int threads = 0;     // of a block
  size_t shared = 0;   // bytes of a block, dynamic ones included
  int registers[kArchitectures] = {}, blocks[kArchitectures] = {};

  friend bool operator==(const ResourceRow&, const ResourceRow&) = default;
};
struct ResourceTable {
  std::string version;  // of ptxas
  std::vector<ResourceRow> rows;
};
// Of BETO's training and inference, f32 and bf16, and of count_textcat().
ResourceTable current_table();
// For people and for read_table(). The file of the repository is kTableFile, written by ./dev gpu-table.
std::string to_text(const ResourceTable& table);
ResourceTable read_table(const std::string& file);
inline constexpr const char* kTableFile = AID_SOURCE_DIR "/tests/gpumodel/resources.txt";

}  // namespace aid::gpumodel
