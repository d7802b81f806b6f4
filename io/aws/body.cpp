#include "io/aws/body.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "io/error.h"

namespace aid::io::aws {

void MemoryBody::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  std::memcpy(bytes.data(), bytes_.data() + offset, bytes.size());
}

FileBody::FileBody(const std::filesystem::path& path)
    : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status = {};
  if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0) {
    const std::string reason = std::generic_category().message(errno);
    if (descriptor_ >= 0) ::close(descriptor_);
    throw Error(path.string() + ": cannot be opened: " + reason);
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

FileBody::FileBody(const std::filesystem::path& path, std::uint64_t offset, std::uint64_t size) : FileBody(path) {
  if (offset > size_ || size > size_ - offset) {
    throw Error(path.string() + ": has " + std::to_string(size_) + " bytes; expected at least " +
                std::to_string(offset) + " + " + std::to_string(size) + ": it was changed while it was read");
  }
  offset_ = offset;
  size_ = size;
}

FileBody::~FileBody() { ::close(descriptor_); }

void FileBody::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset_ + offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(path_.string() + ": cannot be read: " + std::generic_category().message(errno));
    if (got == 0) {
      throw Error(path_.string() + ": ends at byte " + std::to_string(offset_ + offset) + "; expected " +
                  std::to_string(offset_ + size_) + ": it was shortened while it was read");
    }
    offset += static_cast<std::uint64_t>(got);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace aid::io::aws
