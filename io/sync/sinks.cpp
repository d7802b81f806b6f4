#include "io/sync/sinks.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "io/error.h"

namespace aid::io::sync {

void MemorySink::begin(const aws::ObjectInfo& info) {
  CountingSink::begin(info);
  bytes_.clear();
  bytes_.reserve(info.size);
}

void MemorySink::write(std::span<const std::byte> bytes) {
  CountingSink::write(bytes);
  bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void FileSink::begin(const aws::ObjectInfo& info) {
  CountingSink::begin(info);
  if (algorithm_) checksum_.emplace(*algorithm_);
}

void FileSink::write(std::span<const std::byte> bytes) {
  std::uint64_t at = offset_ + static_cast<std::uint64_t>(count_);
  CountingSink::write(bytes);
  if (checksum_) checksum_->update(bytes);
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(file_->get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw Error("its file cannot be written: " + std::generic_category().message(errno));
    at += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

}  // namespace aid::io::sync
