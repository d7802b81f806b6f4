#include "io/sync/committer.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "io/error.h"
#include "io/sync/content.h"

namespace aid::io::sync {
namespace {

// So many files are flushed one by one; for more, the whole file system at once is quicker.
constexpr std::size_t kFlushedSingly = 2;

}  // namespace

Committer::Committer(const std::filesystem::path& root) : tree_(root), thread_([this] { run(); }) {}

Committer::~Committer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Committer::add(Arrival arrival) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(arrival));
  if (waiting_.size() == 1) changed_.notify_one();
}

void Committer::run() {
  for (;;) {
    std::vector<Arrival> batch;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !waiting_.empty() || ending_; });
      if (waiting_.empty()) return;
      batch.swap(waiting_);
    }
    commit(batch);
  }
}

void Committer::write(Arrival& arrival) {
  if (arrival.temporary.empty()) {
    arrival.temporary = "small-" + std::to_string(written_++);
    const Descriptor file = tree_.create_temporary(arrival.temporary);
    for (std::string_view left = arrival.bytes; !left.empty();) {
      const ssize_t put = ::write(file.get(), left.data(), left.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) throw Error("cannot be written: " + std::generic_category().message(errno));
      left.remove_prefix(static_cast<std::size_t>(put));
    }
    Tree::set_time(file.get(), arrival.mtime);
  } else if (!arrival.path.empty()) {
    const Descriptor file = tree_.open_temporary(arrival.temporary);
    if (!file) throw Error("its temporary file is gone: was '" + std::string(kStateFolder) + "' emptied meanwhile?");
    if (arrival.verify) {
      const aws::ChecksumAlgorithm algorithm = arrival.verify->algorithm;
      const aws::Checksum checksum = checksum_of(file.get(), arrival.size, algorithm);
      const std::string found = checksum.base64();
      if (found != arrival.verify->base64) {
        throw Error("the " + std::string(aws::name_of(algorithm)) + " of what came is " + found + "; expected " +
                    arrival.verify->base64 + ": run again, it is fetched anew");
      }
    }
    Tree::set_time(file.get(), arrival.mtime);
  }
  arrival.bytes = std::string();
}

void Committer::commit(std::vector<Arrival>& batch) {
  std::vector<std::string> errors(batch.size());
  const auto guarded = [&](std::size_t i, const auto& work) {
    if (!errors[i].empty()) return;
    try {
      work(batch[i]);
    } catch (const std::exception& error) {
      errors[i] = error.what();
    }
  };
  for (std::size_t i = 0; i < batch.size(); ++i) guarded(i, [this](Arrival& arrival) { write(arrival); });
  const auto flushed = [](const auto& flush) -> std::string {
    try {
      flush();
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  const std::string lost_bytes = batch.size() > kFlushedSingly ? flushed([this] { tree_.flush(); }) : "";
  for (std::size_t i = 0; i < batch.size(); ++i) {
    guarded(i, [&](Arrival& arrival) {
      if (!lost_bytes.empty()) throw Error(lost_bytes);
      if (batch.size() <= kFlushedSingly && ::fsync(tree_.open_temporary(arrival.temporary).get()) != 0) {
        throw Error("cannot be written: " + std::generic_category().message(errno));
      }
      if (!arrival.path.empty()) tree_.place(arrival.temporary, arrival.path);
    });
    if (!errors[i].empty() && !batch[i].path.empty()) tree_.remove_temporary(batch[i].temporary);
  }
  const std::string lost_names = flushed([this] { tree_.flush_names(); });
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i].done(errors[i].empty() ? lost_names : errors[i]);
}

}  // namespace aid::io::sync
