// A team of threads for one stream. It shares OpenMP's pool with oneDNN: two pools would fight for the same cores
// (one spins while the other works). Work is split the same way for the same number of threads, so results repeat.
#pragma once

#include <cstdint>

namespace aid {

// A reference to a callable, for calls that do not outlive it; std::function would allocate. The callable is constant,
// as several threads call it at once.
template <class Signature>
class FunctionRef;
template <class... Args>
class FunctionRef<void(Args...)> {
 public:
  template <class F>
  FunctionRef(const F& f)
      : object_(&f), call_([](const void* object, Args... args) { (*static_cast<const F*>(object))(args...); }) {}
  void operator()(Args... args) const { call_(object_, args...); }

 private:
  const void* object_;
  void (*call_)(const void*, Args...);
};

class ThreadTeam {
 public:
  explicit ThreadTeam(int threads) : threads_(threads) {}
  int threads() const { return threads_; }

  // Splits [0, n) into at most threads() contiguous ranges whose borders are multiples of `grain`; runs f(begin, end)
  // on each.
  void ranges(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> f) const;

  // Runs f(task) for every task in [0, count), each on whichever thread is free: for tasks of unlike length.
  // f must give the same result on any thread. An exception in f is rethrown here, the first one only.
  void tasks(int64_t count, FunctionRef<void(int64_t)> f) const;

 private:
  int threads_;
};

}  // namespace aid
