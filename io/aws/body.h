// Where the bytes of requests come from and those of answers go to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace aid::io::aws {

// Bytes to send. Read again from any offset when a request is repeated; may be read from any of the client's threads. A
// source that throws ends the operation.
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual std::uint64_t size() const = 0;
  // Fills the whole span from `offset` on; offset + bytes.size() <= size().
  virtual void read(std::uint64_t offset, std::span<std::byte> bytes) const = 0;
};

class MemoryBody final : public BodySource {
 public:
  explicit MemoryBody(std::string bytes) : bytes_(std::move(bytes)) {}
  std::uint64_t size() const override { return bytes_.size(); }
  void read(std::uint64_t offset, std::span<std::byte> bytes) const override;

 private:
  std::string bytes_;
};

// A part of a file. Throws Error where the file cannot be opened, or becomes shorter while it is sent.
class FileBody final : public BodySource {
 public:
  explicit FileBody(const std::filesystem::path& path);  // the whole file
  FileBody(const std::filesystem::path& path, std::uint64_t offset, std::uint64_t size);
  ~FileBody() override;
  FileBody(const FileBody&) = delete;
  FileBody& operator=(const FileBody&) = delete;

  std::uint64_t size() const override { return size_; }
  void read(std::uint64_t offset, std::span<std::byte> bytes) const override;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t offset_ = 0, size_ = 0;
};

}  // namespace aid::io::aws
