// Where the time goes: every public op opens a ProfileScope. Without a profiler that costs one branch; in a program
// with CUDA it is an NVTX range, too, which costs another while no tool of NVIDIA's looks on.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace aid {

// One call of one op. bytes: memory that the algorithm must move at least; flops: multiplications and additions.
struct ProfileEvent {
  const char* op;
  int64_t begin_ns, end_ns;  // since the profiler was made
  int64_t bytes, flops;
};

class Profiler {
 public:
  // wait: returns when what was queued has been done, so that an op's time is its own; for a GPU, whose ops otherwise
  // return at once.
  explicit Profiler(std::function<void()> wait = nullptr)
      : start_(std::chrono::steady_clock::now()), wait_(std::move(wait)) {}
  void wait() const {
    if (wait_) wait_();
  }
  int64_t now_ns() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start_).count();
  }
  void add(const ProfileEvent& event) { events_.push_back(event); }
  const std::vector<ProfileEvent>& events() const { return events_; }

 private:
  std::chrono::steady_clock::time_point start_;
  std::function<void()> wait_;
  std::vector<ProfileEvent> events_;
};

struct ProfileWork {
  const char* op;  // a string literal
  int64_t bytes = 0, flops = 0;
};

class ProfileScope {
 public:
  ProfileScope(Profiler* profiler, const ProfileWork& work);
  ~ProfileScope();
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  Profiler* profiler_;
  ProfileWork work_;
  int64_t begin_ns_ = 0;
};

}  // namespace aid
