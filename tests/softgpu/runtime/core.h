#pragma once
// The state that the runtime's calls share: one device, its streams and their queued work, errors, failures asked for
// by tests. CUDA's opaque handles are these structures. All of it is guarded by one lock, taken by call().

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/softgpu/report.h"
#include "tests/softgpu/runtime/control.h"

namespace softgpu::runtime {

struct HostRange {
  const char* base;
  size_t size;
};

// One piece of queued work. `run` may be called again where a graph holds it.
struct Work {
  enum class Kind { kernel, copy, set, host, event, wait, graph, library, memory };
  Kind kind;
  std::string what;
  std::function<void()> run;
  std::vector<HostRange> pinned;             // host memory that it reads or writes when it runs
  std::vector<std::shared_ptr<Work>> after;  // what must have run before, besides what its stream holds before it
  // Of a graph's launch: its nodes, and which of them each comes after.
  std::vector<std::shared_ptr<Work>> nodes;
  std::vector<std::vector<size_t>> edges;
  CUstream_st* stream = nullptr;
  uint64_t serial = 0;
  bool done = false;
};
using WorkPtr = std::shared_ptr<Work>;

struct Capture;

}  // namespace softgpu::runtime

struct CUstream_st {
  unsigned flags = 0;  // cudaStreamNonBlocking or 0
  int priority = 0;
  uint64_t id = 0;
  bool destroyed = false;  // work may still be queued
  std::deque<softgpu::runtime::WorkPtr> queue;
  softgpu::runtime::WorkPtr last;
  std::shared_ptr<softgpu::runtime::Capture> capture;
  std::vector<softgpu::runtime::WorkPtr> capture_tail;  // nodes that the next captured node comes after
};

struct CUevent_st {
  unsigned flags = 0;
  softgpu::runtime::WorkPtr record;                    // the newest record, null before the first
  std::shared_ptr<double> milliseconds;                // when it ran
  std::shared_ptr<softgpu::runtime::Capture> capture;  // set where the newest record was captured
  std::vector<softgpu::runtime::WorkPtr> capture_tail;
};

// A node's handle is the address of what was captured.
struct CUgraph_st {
  std::vector<softgpu::runtime::WorkPtr> nodes;  // in an order that respects the edges
  std::vector<std::vector<size_t>> edges;        // for each node, those that it comes after
};

struct CUgraphExec_st {
  std::vector<softgpu::runtime::WorkPtr> nodes;
  std::vector<std::vector<size_t>> edges;
  CUgraph_st* graph;  // that it was made from; may be destroyed
};

struct CUmemPoolHandle_st {
  uint64_t threshold = 0;
};

namespace softgpu::runtime {

struct Capture {
  CUstream_st* origin = nullptr;
  std::vector<cudaGraphNode_t> last;  // what cudaStreamGetCaptureInfo told last
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::vector<WorkPtr> nodes;
  std::set<CUstream_st*> streams;
  cudaError_t broken = cudaSuccess;
  std::thread::id thread;
  uint64_t id = 0;
};

struct Pinned {
  size_t size;
  unsigned flags;
  bool registered;  // by cudaHostRegister: the memory is the caller's
};

struct Failure {
  std::string name;
  uint64_t nth;
  cudaError_t error;
};

class Runtime {
 public:
  Runtime();

  std::recursive_mutex mutex;
  int major = 8;  // the device's compute capability, .0
  cudaError_t sticky = cudaSuccess;
  LaunchOptions launch_options;
  std::function<void(const Launch&)> on_launch;
  std::string unread_launch;  // the <<<>>> launch whose error no call has read yet

  // Streams.
  CUstream_st* stream(cudaStream_t handle);  // null: no such stream
  cudaError_t enqueue(CUstream_st& stream, Work work);
  void wait(const WorkPtr& work);
  void wait(CUstream_st& stream);
  void wait_all();
  bool step(CUstream_st& stream);  // runs one piece that `stream` needs; false: its queue is empty
  std::set<CUstream_st*> streams;
  std::set<CUevent_st*> events;
  std::set<CUgraph_st*> graphs;
  std::set<CUgraphExec_st*> execs;
  std::set<CUmemPoolHandle_st*> pools;
  CUstream_st legacy;
  CUmemPoolHandle_st default_pool;
  CUmemPoolHandle_st* pool = &default_pool;
  std::vector<std::weak_ptr<Capture>> captures;
  StreamOrder order = StreamOrder::latest;
  std::mt19937_64 random;
  WorkPtr newest;  // what enqueue() made last
  uint64_t next_id = 1;

  // Memory.
  std::map<const char*, Pinned> pinned;
  const char* pinned_base(const void* p, size_t bytes) const;  // null: not wholly inside one pinned block
  void finish_pinned(const void* base, size_t bytes, const char* by);

  // Counts and failures.
  std::map<std::string, uint64_t, std::less<>> counts;
  std::vector<Failure> failures;
  std::vector<std::string> waits;
  cudaError_t injected(std::string_view name);

  void fail(cudaError_t error);  // a sticky one: the device is lost
  void run(Work& work);
  void report(Kind kind, std::string text);

 private:
  WorkPtr choose(const std::vector<WorkPtr>& ready);
  WorkPtr needed(const WorkPtr& work);
  std::vector<WorkPtr> ready() const;
  void pop(const WorkPtr& work);
};

Runtime& state();

// The work of a kernel's launch or of a copy of device or pinned memory, checked as the call is; for a graph's node,
// too.
cudaError_t kernel_work(const cudaKernelNodeParams& params, Work& work);
cudaError_t copy_work(const char* call, void* dst, const void* src, size_t bytes, cudaMemcpyKind kind, Work& work);

// What a call means for the checks made before it.
struct Traits {
  bool waits = false;               // the host waits for the device
  bool refused_in_capture = false;  // unsafe while a stream of this thread captures in global mode
  bool harmless = false;            // works on a lost device too
};

cudaError_t begin_call(const char* name, Traits traits);
cudaError_t end_call(cudaError_t result);
void clear_last_error();
extern thread_local int in_callback;  // a host function must not call CUDA

template <class F>
cudaError_t call(const char* name, Traits traits, F&& body) {
  std::lock_guard lock(state().mutex);
  if (cudaError_t error = begin_call(name, traits); error != cudaSuccess) return end_call(error);
  return end_call(body());
}

template <class F>
cudaError_t call(const char* name, F&& body) {
  return call(name, Traits{}, body);
}

}  // namespace softgpu::runtime
