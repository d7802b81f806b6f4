#include "io/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "io/error.h"

namespace aid::io {
namespace {

[[noreturn]] void fail(const std::string& what, const std::filesystem::path& path) {
  throw Error("cannot " + what + " '" + path.string() + "': " + std::generic_category().message(errno));
}

// A file opened for reading, closed at the end of the scope.
struct OpenFile {
  explicit OpenFile(const std::filesystem::path& path) : descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor < 0) fail("open", path);
    if (::fstat(descriptor, &status) != 0) fail("read", path);
    if (S_ISDIR(status.st_mode)) {
      errno = EISDIR;
      fail("read", path);
    }
  }
  ~OpenFile() { ::close(descriptor); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int descriptor;
  struct stat status {};
};

}  // namespace

std::string read_text(const std::filesystem::path& path) {
  const OpenFile file(path);
  // One byte more than its size shows the end of a regular file at once; pipes and /proc say 0 and grow as they come.
  std::string text(static_cast<std::size_t>(file.status.st_size) + 1, '\0');
  std::size_t used = 0;
  for (;;) {
    if (used == text.size()) text.resize(used + used / 2 + 4096);
    const ssize_t got = ::read(file.descriptor, text.data() + used, text.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", path);
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  text.resize(used);
  return text;
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  const OpenFile file(path);
  if (!S_ISREG(file.status.st_mode)) throw Error("cannot map '" + path.string() + "': not a regular file");
  const auto size = static_cast<std::size_t>(file.status.st_size);
  if (size == 0) return;
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor, 0);
  if (address == MAP_FAILED) fail("map", path);
  bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace aid::io
