// Stream: a device's queue of work with what the ops on it share: target, threads, arena, profiler.
// One stream belongs to one host thread at a time. On the CPU every op has finished when its function returns; a GPU's
// work is queued, in order, and has finished after synchronize().
#pragma once

#include <memory>

#include "kernels/core/buffer.h"
#include "kernels/core/profile.h"
#include "kernels/core/target.h"
#include "kernels/core/thread_team.h"

namespace aid {

namespace cuda {
class Queue;
}

class Stream {
 public:
  struct Options {
    int threads = 0;                   // 0: one per core that this process may use
    Target target = default_target();  // instruction sets: for tests; users set AID_ISA
    // Same bits for any number of threads, not only for the same number. Ops of our own always split sums the same way;
    // this concerns the matrix library, which may split a long sum by threads.
    bool deterministic = false;
  };
  Stream() : Stream(Options{}) {}
  // Throws CudaError (kernels/device/runtime.h) when the target is cuda and there is no device, or no CUDA in this
  // program.
  explicit Stream(const Options& options);
  ~Stream();

  Device device() const { return device_of(options_.target); }
  Target target() const { return options_.target; }
  bool deterministic() const { return options_.deterministic; }
  const ThreadTeam& team() const { return team_; }
  int threads() const { return team_.threads(); }
  // The step's memory, on the stream's device.
  Arena& arena() { return arena_; }
  // Ends a step: the arena's memory is given back, with everything that upload() returned.
  void release();

  // The host's data on the device: a copy in the arena, whose `host` can be read as long. The caller's may go at once.
  CSpan upload(CSpan host);
  // The same into memory that the caller has.
  void upload(Span to, CSpan host);
  // Copies to the host's memory, which has it after synchronize(). Both sides in one piece.
  void download(Span host, CSpan from);
  // Waits for everything that was queued.
  void synchronize();

  // The GPU's queue; null on the CPU.
  cuda::Queue* queue() const { return queue_.get(); }
  Profiler* profiler() const { return profiler_; }
  void set_profiler(Profiler* profiler) { profiler_ = profiler; }

 private:
  Options options_;
  ThreadTeam team_;
  std::unique_ptr<cuda::Queue> queue_;
  Arena arena_;  // freed before the queue that its memory is ordered in
  Profiler* profiler_ = nullptr;
};

// Takes back what is taken of a stream's arena while it lives. On a GPU too: the stream's order keeps the next user of
// that memory behind the kernels that were queued before.
class Scratch {
 public:
  explicit Scratch(Stream& s) : arena_(s.arena()), mark_(arena_.mark()) {}
  ~Scratch() { arena_.rewind(mark_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

// The cores that this process may run on.
int available_cores();

// A function of a *.cu file; null in a program that is built without the CUDA toolkit, where no stream asks for it.
#ifdef AID_CUDA
#define AID_CUDA_KERNEL(function) cuda::function
#else
#define AID_CUDA_KERNEL(function) nullptr
#endif

// The kernel for the stream's target. Called with one function per target, in the order of Target:
//   select(s, cpu_avx2::f, cpu_avx512::f, cpu_avx512_bf16::f, AID_CUDA_KERNEL(f))(s, args);
// The last is left out by what only the CPU side of an op calls.
template <class Function>
Function* select(const Stream& s, Function* avx2, Function* avx512, Function* avx512_bf16,
                 std::type_identity_t<Function>* cuda = nullptr) {
  switch (s.target()) {
    case Target::cuda:
      return cuda;
    case Target::cpu_amx:
    case Target::cpu_avx512_bf16:
      return avx512_bf16;
    case Target::cpu_avx512:
      return avx512;
    case Target::cpu_avx2:
      break;
  }
  return avx2;
}

// The same for an op whose CPU side is one for all instruction sets.
template <class Function>
Function* select(const Stream& s, Function* cpu, std::type_identity_t<Function>* cuda) {
  return s.device() == Device::cuda ? cuda : cpu;
}

}  // namespace aid
