// Internal: where the bytes of objects go as they come.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "io/aws/checksum.h"
#include "io/aws/s3.h"
#include "io/sync/tree.h"

namespace aid::io::sync {

// Counts what comes, less what has to come again.
class CountingSink : public aws::ObjectSink {
 public:
  explicit CountingSink(std::atomic<long long>& received) : received_(received) {}
  void begin(const aws::ObjectInfo&) override {
    received_ -= count_;
    count_ = 0;
  }
  void write(std::span<const std::byte> bytes) override {
    received_ += static_cast<long long>(bytes.size());
    count_ += static_cast<long long>(bytes.size());
  }

 protected:
  long long count_ = 0;

 private:
  std::atomic<long long>& received_;
};

class MemorySink final : public CountingSink {
 public:
  using CountingSink::CountingSink;
  void begin(const aws::ObjectInfo& info) override;
  void write(std::span<const std::byte> bytes) override;
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Writes into a file from `offset` on. With an algorithm it keeps the checksum of what came.
class FileSink final : public CountingSink {
 public:
  FileSink(std::atomic<long long>& received, std::shared_ptr<Descriptor> file, std::uint64_t offset,
           std::optional<aws::ChecksumAlgorithm> algorithm)
      : CountingSink(received), file_(std::move(file)), offset_(offset), algorithm_(algorithm) {}
  void begin(const aws::ObjectInfo& info) override;
  void write(std::span<const std::byte> bytes) override;
  std::string digest() const { return checksum_ ? checksum_->digest() : ""; }

 private:
  std::shared_ptr<Descriptor> file_;
  std::uint64_t offset_;
  std::optional<aws::ChecksumAlgorithm> algorithm_;
  std::optional<aws::Checksum> checksum_;
};

}  // namespace aid::io::sync
