#include "tests/softgpu/launch.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <random>
#include <stdexcept>
#include <thread>

#include "tests/softgpu/block.h"

namespace softgpu {

const KernelAttributes& attributes(const Kernel& kernel) { return kernel.attributes; }

LaunchOptions options_from_environment() {
  LaunchOptions o;
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value ? value : "";
  };
  const std::string order = variable("SOFTGPU_ORDER"), check = variable("SOFTGPU_CHECK"),
                    threads = variable("SOFTGPU_THREADS");
  if (order == "reverse")
    o.order = Order::reverse;
  else if (order == "greedy")
    o.order = Order::greedy;
  else if (order.starts_with("random")) {
    o.order = Order::random;
    if (order.size() > 7) o.seed = std::stoull(order.substr(7));
  } else if (!order.empty() && order != "forward") {
    throw std::invalid_argument("SOFTGPU_ORDER=" + order + ": forward, reverse, random:SEED or greedy");
  }
  if (!check.empty()) o.checks = check != "0";
  if (!threads.empty()) o.threads = std::stoi(threads);
  return o;
}

namespace {

// Serial numbers for the launch's blocks.
u32 reserve_serials(u64 blocks) {
  static std::mutex mutex;
  static u64 next = 1;
  const std::lock_guard lock(mutex);
  if (next + blocks > Record::kMaxSerial) {
    clear_all_cells();
    next = 1;
  }
  const u32 first = u32(next);
  next += blocks;
  return first;
}

LaunchResult refuse(const Kernel& kernel, const std::string& why) {
  Report r;
  r.kind = Kind::launch;
  r.kernel = kernel.attributes.name;
  r.text = why;
  LaunchResult result;
  result.ok = false;
  result.kind = r.kind;
  result.error = r.str();
  add_report(std::move(r));
  return result;
}

}  // namespace

LaunchResult launch(const Kernel& kernel, Dim grid, Dim block, size_t dynamic_shared, void** args,
                    const LaunchOptions& options) {
  const KernelAttributes& a = kernel.attributes;
  const u64 blocks = grid.count(), threads = block.count();
  if (blocks == 0 || threads == 0) return refuse(kernel, "a grid or a block of no threads");
  if (threads > u64(a.max_threads) || threads > 1024)
    return refuse(kernel, std::to_string(threads) + " threads a block; the kernel takes " +
                              std::to_string(std::min(a.max_threads, 1024)));
  if (grid.y > 65535 || grid.z > 65535 || grid.x > 0x7fffffff || block.z > 64)
    return refuse(kernel, "grid or block too large: at most 2^31-1 x 65535 x 65535 blocks of 1024 x 1024 x 64");
  if (a.static_shared + dynamic_shared > max_shared_per_block)
    return refuse(kernel, std::to_string(a.static_shared) + " + " + std::to_string(dynamic_shared) +
                              " bytes of shared memory; a block has " + std::to_string(max_shared_per_block));
  if (blocks >= Record::kMaxSerial)
    return refuse(kernel, "more blocks than the software GPU counts: " + std::to_string(blocks));

  Launch launch{.kernel = kernel, .options = options, .grid = grid, .block = block, .dynamic_shared = dynamic_shared};
  launch.params.resize(a.param_bytes);
  for (size_t i = 0; i < a.param_sizes.size(); ++i)
    std::memcpy(launch.params.data() + a.param_offsets[i], args[i], a.param_sizes[i]);
  launch.first_serial = reserve_serials(blocks);
  if (options.counters) launch.counters.resize(kernel.code.size());

  const u64 runs = options.sampled_blocks ? std::min(options.sampled_blocks, blocks) : blocks;
  std::vector<u32> order(runs);
  std::iota(order.begin(), order.end(), u32((blocks - runs) / 2));
  if (options.order == Order::reverse) std::reverse(order.begin(), order.end());
  if (options.order == Order::random) std::shuffle(order.begin(), order.end(), std::mt19937_64(options.seed));

  std::atomic<u64> next{0};
  std::vector<std::string> printed(blocks);
  LaunchResult result;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      Block state(launch);
      for (u64 n; !launch.stopped && (n = next++) < runs;) {
        state.run(order[n]);
        if (options.counters) launch.sectors.end_block();
        printed[order[n]] = std::move(state.printed);
        state.printed.clear();
      }
    } catch (const Fault& fault) {
      launch.stopped = true;
      const std::lock_guard lock(launch.mutex);
      if (result.ok) {
        result.ok = false;
        result.kind = fault.kind;
        result.error = fault.text;
      }
    } catch (...) {
      launch.stopped = true;
      const std::lock_guard lock(launch.mutex);
      error = std::current_exception();
    }
  };
  const u64 wanted = options.counters      ? 1
                     : options.threads > 0 ? u64(options.threads)
                                           : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> others;
  for (u64 n = 1; n < std::min(wanted, runs); ++n) others.emplace_back(work);
  work();
  for (std::thread& t : others) t.join();
  if (error) std::rethrow_exception(error);

  for (const std::string& text : printed) std::fwrite(text.data(), 1, text.size(), stdout);
  result.instructions = launch.instructions;
  if (options.counters) result.traffic = launch.sectors.extrapolated(blocks);
  for (size_t n = 0; n < launch.counters.size(); ++n) {
    const Instruction& i = kernel.code[n];
    const auto file = kernel.files.find(i.place.file);
    LineCounters& c = launch.counters[n];
    c.by_pipe[size_t(pipe_of(i.opcode ? *i.opcode : ""))] = c.instructions;
    result.lines[{file == kernel.files.end() ? "" : file->second, i.place.line}] +=
        c.scaled(double(blocks) / double(runs));
  }
  return result;
}

}  // namespace softgpu
