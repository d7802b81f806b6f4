// Internal: what downloads and uploads share. All decisions are taken on the calling thread; what ends elsewhere comes
// back to it as a task.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "io/sync/mailbox.h"
#include "io/sync/sync.h"

namespace aid::io::sync {

class Session {
 protected:
  Session(aws::S3Client& client, const Options& options);
  ~Session() = default;

  // For a call of the client: `then` gets its outcome on this thread.
  template <class T, class Then>
  aws::Done<T> on_end(Then then) {
    ++calls_;
    return [this, then = std::move(then)](aws::Outcome<T> outcome) {
      mailbox_.post([this, then, outcome = std::move(outcome)]() mutable {
        --calls_;
        then(outcome);
      });
    };
  }
  // The same for a file that goes to the committer.
  template <class Then>
  std::function<void(const std::string&)> on_committed(std::uint64_t held_bytes, Then then) {
    ++commits_;
    committing_bytes_ += held_bytes;
    return [this, held_bytes, then = std::move(then)](const std::string& error) {
      mailbox_.post([this, held_bytes, then, error] {
        --commits_;
        committing_bytes_ -= held_bytes;
        then(error);
      });
    };
  }

  // Runs until nothing is left of `ready_`, of calls and of commits. `pump` is called each time something ended. Where
  // it throws, all that is under way is ended first.
  void work(const std::function<void()>& pump);
  void stop();  // nothing new is begun, and what is under way is cancelled
  bool is_real() const { return options_.mode == Mode::real; }
  void problem(const std::string& path, const std::string& why);
  void problem(const std::string& path, const aws::CallError& error);  // unless it was cancelled
  void tell(const char* what, const std::string& path) const;

  aws::S3Client& client_;
  const Options& options_;
  Report report_;
  Totals totals_;
  std::deque<std::function<void()>> ready_;  // each begins at least one call
  int calls_ = 0, commits_ = 0;
  std::uint64_t committing_bytes_ = 0;
  bool stopped_ = false;

 private:
  void begin_ready();

  Mailbox mailbox_;
};

}  // namespace aid::io::sync
