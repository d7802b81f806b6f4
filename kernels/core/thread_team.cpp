#include "kernels/core/thread_team.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#if defined(__SANITIZE_THREAD__)
#include <thread>
#include <vector>
#else
#include <omp.h>
#endif

namespace aid {
namespace {

// Runs f(thread) on `threads` threads and waits for all of them.
void on_each_thread(int threads, FunctionRef<void(int)> f) {
#if defined(__SANITIZE_THREAD__)
  // libgomp synchronises with futexes that ThreadSanitizer does not see: it would report every region as a race.
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([&f, i] { f(i); });
  f(0);
  for (std::thread& other : others) other.join();
#else
  // OpenMP may give fewer threads than asked for; every part runs all the same.
#pragma omp parallel num_threads(threads)
  for (int i = omp_get_thread_num(); i < threads; i += omp_get_num_threads()) f(i);
#endif
}

// Exceptions may not leave a parallel region: keeps the first for the caller.
class FirstException {
 public:
  template <class F>
  void guard(const F& f) {
    try {
      f();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!first_) first_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
};

}  // namespace

void ThreadTeam::ranges(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> f) const {
  if (n <= 0) return;
  const int64_t units = (n + grain - 1) / grain;
  const int parts = static_cast<int>(std::min<int64_t>(threads_, units));
  if (parts <= 1) return f(0, n);
  FirstException exception;
  on_each_thread(parts, [&](int part) {
    const int64_t begin = units * part / parts * grain;
    const int64_t end = std::min(units * (part + 1) / parts * grain, n);
    exception.guard([&] { f(begin, end); });
  });
  exception.rethrow();
}

void ThreadTeam::tasks(int64_t count, FunctionRef<void(int64_t)> f) const {
  const int parts = static_cast<int>(std::min<int64_t>(threads_, count));
  if (parts <= 1) {
    for (int64_t task = 0; task < count; ++task) f(task);
    return;
  }
  std::atomic<int64_t> next{0};
  FirstException exception;
  on_each_thread(parts, [&](int) {
    exception.guard([&] {
      for (int64_t task = next.fetch_add(1); task < count; task = next.fetch_add(1)) f(task);
    });
  });
  exception.rethrow();
}

}  // namespace aid
