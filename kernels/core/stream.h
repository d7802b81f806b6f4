// Stream: a device's queue of work with what the ops on it share: target, threads, arena, profiler.
// One stream belongs to one host thread at a time. On the CPU every op has finished when its function returns.
#pragma once

#include "kernels/core/buffer.h"
#include "kernels/core/profile.h"
#include "kernels/core/target.h"
#include "kernels/core/thread_team.h"

namespace aid {

class Stream {
 public:
  struct Options {
    int threads = 0;                   // 0: one per core that this process may use
    Target target = default_target();  // for tests; users set AID_ISA
    // Same bits for any number of threads, not only for the same number. Ops of our own always split sums the same way;
    // this concerns the matrix library, which may split a long sum by threads.
    bool deterministic = false;
  };
  Stream() : Stream(Options{}) {}
  explicit Stream(const Options& options);

  Device device() const { return Device::cpu; }
  Target target() const { return options_.target; }
  bool deterministic() const { return options_.deterministic; }
  const ThreadTeam& team() const { return team_; }
  int threads() const { return team_.threads(); }
  Arena& arena() { return arena_; }
  Profiler* profiler() const { return profiler_; }
  void set_profiler(Profiler* profiler) { profiler_ = profiler; }

 private:
  Options options_;
  ThreadTeam team_;
  Arena arena_;
  Profiler* profiler_ = nullptr;
};

// The cores that this process may run on.
int available_cores();

// The kernel for the stream's target. Called with one function per target, in the order of Target:
//   select(s, cpu_avx2::f, cpu_avx512::f, cpu_avx512_bf16::f)(s, args);
template <class Function>
Function* select(const Stream& s, Function* avx2, Function* avx512, Function* avx512_bf16) {
  switch (s.target()) {
    case Target::cpu_avx512_bf16:
      return avx512_bf16;
    case Target::cpu_avx512:
      return avx512;
    case Target::cpu_avx2:
      break;
  }
  return avx2;
}

}  // namespace aid
