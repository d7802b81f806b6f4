#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/softgpu/module.h"
#include "tests/softgpu/pipes.h"
#include "tests/softgpu/report.h"

// Runs a kernel: blocks spread over host threads, warps of a block in an order of choice. Results do not depend on
// either, unless the kernel has a race.
namespace softgpu {

enum class Order {
  forward,  // the first warp that can run, always from the first on
  reverse,  // the last one first
  random,   // by seed; lanes of a warp run apart from each other between two warp instructions
  greedy,   // one warp runs as far ahead as it can before another starts, the last one that became free first
};

struct LaunchOptions {
  Order order = Order::forward;
  uint64_t seed = 1;
  bool checks = true;     // races, initialisation. Bounds and alignment are always checked.
  int threads = 0;        // host threads; 0: all cores
  bool counters = false;  // fill LaunchResult::lines and ::traffic; one host thread
  // Run so many blocks of the middle of a grid instead of all, and extrapolate the counters: for counting at sizes that
  // would take too long. Results are then rubbish, and the stand-ins for libraries compute nothing. 0: all.
  uint64_t sampled_blocks = 0;
};
// SOFTGPU_ORDER=forward|reverse|random:SEED|greedy, SOFTGPU_CHECK=0|1, SOFTGPU_THREADS=N
LaunchOptions options_from_environment();

// What one source line did, for all warps.
struct LineCounters {
  uint64_t instructions = 0;  // of warps
  PipeCounts by_pipe{};       // the same, by pipe
  uint64_t mma = 0;
  uint64_t mma_flops = 0;
  uint64_t global_requests = 0, global_sectors = 0, global_ideal_sectors = 0;  // 32 bytes each
  uint64_t shared_requests = 0, shared_passes = 0, shared_ideal_passes = 0;
  uint64_t global_read_bytes = 0, global_written_bytes = 0;

  LineCounters& operator+=(const LineCounters&);
  LineCounters scaled(double by) const;
};

// Bytes between the device's memory and the kernel, in sectors of 32, if caches keep what several warps ask for and
// nothing else: what one warp asks for again is moved again.
struct Traffic {
  uint64_t read = 0, written = 0;
};

struct LaunchResult {
  bool ok = true;
  Kind kind{};                                                // if not ok: of the report that ended the launch
  std::string error;                                          // and its text
  uint64_t instructions = 0;                                  // PTX instructions of threads
  std::map<std::pair<std::string, int>, LineCounters> lines;  // by source file and line
  Traffic traffic;

  LineCounters total() const;
};

struct KernelAttributes {
  std::string name;          // mangled
  size_t static_shared = 0;  // bytes
  size_t local = 0;          // bytes a thread
  size_t param_bytes = 0;
  std::vector<size_t> param_sizes, param_offsets;
  int max_threads = 1024;  // .maxntid, __launch_bounds__
  int registers = 0;       // virtual ones: an upper bound for nothing; 0 if unknown
};
const KernelAttributes& attributes(const Kernel&);

// The largest dynamic_shared that launch() takes: 227 KiB (sm_90) less the static part.
inline constexpr size_t max_shared_per_block = 227 * 1024;

// args[i] points at the i-th parameter. Faults are reported (report.h); those that would kill a kernel on a GPU also
// end the launch.
LaunchResult launch(const Kernel&, Dim grid, Dim block, size_t dynamic_shared, void** args, const LaunchOptions&);

}  // namespace softgpu
