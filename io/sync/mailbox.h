// Tasks for one thread from others.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <iterator>
#include <mutex>
#include <vector>

namespace aid::io::sync {

class Mailbox {
 public:
  using Task = std::function<void()>;

  void post(Task task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (tasks_.size() == 1) posted_.notify_one();
  }

  // Runs what was posted; waits for something, or so long, where nothing was.
  void run(std::chrono::milliseconds longest_wait) {
    std::vector<Task> tasks;
    {
      std::unique_lock lock(mutex_);
      posted_.wait_for(lock, longest_wait, [this] { return !tasks_.empty(); });
      tasks.swap(tasks_);
    }
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      try {
        tasks[i]();
      } catch (...) {  // those behind it are not lost
        const std::lock_guard lock(mutex_);
        tasks_.insert(tasks_.begin(), std::make_move_iterator(tasks.begin() + static_cast<std::ptrdiff_t>(i) + 1),
                      std::make_move_iterator(tasks.end()));
        throw;
      }
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::vector<Task> tasks_;
};

}  // namespace aid::io::sync
