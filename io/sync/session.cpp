#include "io/sync/session.h"

#include <exception>

#include "io/sync/paths.h"

namespace aid::io::sync {
namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr std::size_t kMostProblems = 1'000;
// What has arrived and waits for the disk: transfers pause beyond.
constexpr int kMostCommits = 4'096;
constexpr std::uint64_t kMostCommittingBytes = 16 << 20;

}  // namespace

Session::Session(aws::S3Client& client, const Options& options) : client_(client), options_(options) {}

void Session::stop() {
  if (std::exchange(stopped_, true)) return;
  ready_.clear();
  client_.cancel();
}

void Session::begin_ready() {
  // Some wait in the client, so that it never runs dry while this thread is busy.
  while (!stopped_ && !ready_.empty() && calls_ < 2 * options_.concurrency && commits_ < kMostCommits &&
         committing_bytes_ < kMostCommittingBytes) {
    const std::function<void()> begin = std::move(ready_.front());
    ready_.pop_front();
    begin();
  }
}

void Session::work(const std::function<void()>& pump) {
  std::exception_ptr thrown;
  const auto guarded = [&](const auto& step) {
    try {
      step();
    } catch (...) {
      if (!thrown) thrown = std::current_exception();
      stop();
    }
  };
  for (;;) {
    if (!thrown) {
      guarded([&] {
        if (options_.interrupted && !stopped_ && options_.interrupted()) {
          report_.interrupted = true;
          stop();
        }
        pump();
        begin_ready();
        if (options_.progress) options_.progress(totals_);
      });
    }
    if (calls_ == 0 && commits_ == 0 && (stopped_ || ready_.empty())) break;
    guarded([&] { mailbox_.run(kTick); });
  }
  if (thrown) std::rethrow_exception(thrown);
}

void Session::problem(const std::string& path, const std::string& why) {
  report_.problems.push_back({printable(path), why});
  if (report_.problems.size() == kMostProblems && !stopped_) {
    report_.problems.push_back({"...", "stopped: " + std::to_string(kMostProblems) + " objects fail"});
    stop();
  }
}

void Session::problem(const std::string& path, const aws::CallError& error) {
  if (error.code() != "Cancelled") problem(path, std::string(error.what()));
}

void Session::tell(const char* what, const std::string& path) const {
  if (options_.tell) options_.tell(std::string(what) + " " + printable(path));
}

}  // namespace aid::io::sync
