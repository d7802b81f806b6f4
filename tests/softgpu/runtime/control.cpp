#include "tests/softgpu/runtime/control.h"

#include <cstdlib>

#include "tests/softgpu/memory.h"
#include "tests/softgpu/report.h"
#include "tests/softgpu/runtime/core.h"

namespace softgpu {

using runtime::state;

void set_stream_order(StreamOrder order, uint64_t seed) {
  std::lock_guard lock(state().mutex);
  state().order = order;
  state().random.seed(seed);
}

void set_launch_options(const LaunchOptions& options) {
  std::lock_guard lock(state().mutex);
  state().launch_options = options;
}

void on_launch(std::function<void(const Launch&)> see) {
  std::lock_guard lock(state().mutex);
  state().on_launch = std::move(see);
}

void fail_call(std::string_view name, uint64_t nth, cudaError_t error) {
  std::lock_guard lock(state().mutex);
  state().failures.push_back({std::string(name), nth, error});
}

void clear_failures() {
  std::lock_guard lock(state().mutex);
  state().failures.clear();
}

uint64_t calls(std::string_view name) {
  std::lock_guard lock(state().mutex);
  const auto found = state().counts.find(name);
  return found == state().counts.end() ? 0 : found->second;
}

std::vector<std::string> host_waits() {
  std::lock_guard lock(state().mutex);
  return state().waits;
}

void clear_host_waits() {
  std::lock_guard lock(state().mutex);
  state().waits.clear();
}

void set_device(int major) {
  std::lock_guard lock(state().mutex);
  state().major = major;
}

void finish_runtime() {
  std::lock_guard lock(state().mutex);
  runtime::Runtime& r = state();
  r.wait_all();
  if (!r.unread_launch.empty()) {
    r.report(Kind::launch, r.unread_launch + ", and no call of cudaGetLastError or cudaPeekAtLastError read it");
    r.unread_launch.clear();
  }
  report_leaks();
  for (const auto& [base, pinned] : r.pinned) {
    r.report(Kind::leak, std::to_string(pinned.size) + " bytes of pinned host memory were never freed");
  }
}

void reset_runtime() {
  std::lock_guard lock(state().mutex);
  runtime::Runtime& r = state();
  r.sticky = cudaErrorUnknown;  // queued work is dropped, not run
  r.wait_all();
  r.sticky = cudaSuccess;
  runtime::clear_last_error();
  r.unread_launch.clear();
  for (CUstream_st* s : r.streams) delete s;
  for (CUevent_st* e : r.events) delete e;
  for (CUgraph_st* g : r.graphs) delete g;
  for (CUgraphExec_st* e : r.execs) delete e;
  for (CUmemPoolHandle_st* p : r.pools) delete p;
  r.streams.clear(), r.events.clear(), r.graphs.clear(), r.execs.clear(), r.pools.clear(), r.captures.clear();
  r.legacy = {};
  r.default_pool = {};
  r.pool = &r.default_pool;
  for (const Allocation& block : live_allocations()) {
    if (!block.owned_by_module) softgpu::free(block.base);
  }
  for (const auto& [base, pinned] : r.pinned) {
    if (!pinned.registered) std::free(const_cast<char*>(base));
  }
  r.pinned.clear();
  r.counts.clear(), r.failures.clear(), r.waits.clear();
  r.major = 8;
}

}  // namespace softgpu
