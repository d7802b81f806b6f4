// The writing half of io/file.h.
#include <fcntl.h>
#include <stdio.h>  // renameat2
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <system_error>
#include <vector>

#include "io/error.h"
#include "io/file.h"

namespace aid::io {
namespace {

namespace fs = std::filesystem;

constexpr int kRandomDigits = 12;

// The file or folder that the path leads to: without trailing slash, links followed.
fs::path resolved(const fs::path& path) {
  std::error_code error;
  fs::path result = fs::absolute(path, error);
  if (!error) result = fs::weakly_canonical(result, error);
  if (error) throw Error("cannot write '" + path.string() + "': " + error.message());
  return result.has_filename() ? result : result.parent_path();
}

// ".NAME.KIND-RANDOM": hidden, and as no person names files.
std::string sibling_prefix(const fs::path& target, const char* kind) {
  return "." + target.filename().string() + "." + kind + "-";
}

fs::path sibling_name(const fs::path& target, const char* kind) {
  std::random_device random;
  std::string name = sibling_prefix(target, kind);
  for (int i = 0; i < kRandomDigits; ++i) name += "0123456789abcdef"[random() % 16];
  return target.parent_path() / name;
}

std::vector<fs::path> siblings(const fs::path& target, const char* kind) {
  const std::string prefix = sibling_prefix(target, kind);
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(target.parent_path(), error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with(prefix) && name.size() == prefix.size() + kRandomDigits &&
        name.find_first_not_of("0123456789abcdef", prefix.size()) == std::string::npos) {
      found.push_back(it->path());
    }
  }
  return found;
}

// An open file or folder with its lock. Empty where somebody else holds the lock or the path is gone.
class Lock {
 public:
  explicit Lock(const fs::path& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) {
    if (descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor_);
      descriptor_ = -1;
    }
  }
  ~Lock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

void remove_leftovers(const fs::path& target) {
  std::error_code ignored;  // what cannot be removed now is found again the next time
  for (const fs::path& path : siblings(target, "tmp")) {
    if (const Lock lock(path); lock) fs::remove_all(path, ignored);
  }
  for (const fs::path& path : siblings(target, "old")) {
    const Lock lock(path);
    if (!lock) continue;
    if (fs::exists(fs::symlink_status(target, ignored))) {
      fs::remove_all(path, ignored);
    } else {
      fs::rename(path, target, ignored);
    }
  }
}

bool is_out_of_space(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

// False: whoever had the lock of an open file or folder has removed it.
bool still_has_a_name(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 && status.st_nlink > 0;
}

void sync_to_disk(int descriptor, const fs::path& path) {
  // EINVAL: a pipe or a file system that has nothing to flush.
  if (::fsync(descriptor) != 0 && errno != EINVAL && errno != EROFS) fail_writing(path, errno);
}

void sync_to_disk(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail_writing(path, errno);
  try {
    sync_to_disk(descriptor, path);
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  ::close(descriptor);
}

// For file systems that cannot exchange two names. The lock tells the old folder from a dead writer's.
void replace_in_two_steps(const fs::path& replacement, const fs::path& target) {
  const Lock lock(target);
  const fs::path old = sibling_name(target, "old");
  const bool moved = ::rename(target.c_str(), old.c_str()) == 0;
  if (!moved && errno != ENOENT) fail_writing(target, errno);
  if (::rename(replacement.c_str(), target.c_str()) != 0) {
    const int error = errno;
    if (moved) ::rename(old.c_str(), target.c_str());
    fail_writing(target, error);
  }
  std::error_code ignored;
  fs::remove_all(old, ignored);
}

}  // namespace

void fail_writing(const fs::path& path, int error, std::uint64_t needed) {
  std::string message = "cannot write '" + path.string() + "': " + std::generic_category().message(error);
  if (!is_out_of_space(error)) {
    if (error == EIO) throw DiskError(message);
    throw Error(message);
  }
  std::error_code ignored;
  const fs::space_info space = fs::space(fs::absolute(path).parent_path(), ignored);
  message += " (" + (needed > 0 ? std::to_string(needed) + " bytes needed, " : "") + std::to_string(space.available) +
             " free on its disk): make room, raise the quota or limit, or write elsewhere";
  throw DiskError(message);
}

TemporarySibling::TemporarySibling(const fs::path& target, Kind kind) : target_(resolved(target)) {
  remove_leftovers(target_);
  // Between creating and locking, a cleaning writer of the same target may take the new name for a leftover: try again.
  for (int attempt = 0; attempt < 100; ++attempt) {
    path_ = sibling_name(target_, "tmp");
    if (kind == Kind::directory) {
      if (::mkdir(path_.c_str(), 0777) != 0) fail_writing(target_, errno);
      descriptor_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (descriptor_ < 0 && errno == ENOENT) continue;
    } else {
      descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    if (descriptor_ < 0) fail_writing(target_, errno);
    // Any other error than "locked": a file system without locks, where no cleaner can lock it either.
    const bool locked = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (locked && still_has_a_name(descriptor_)) return;
    ::close(descriptor_);
  }
  throw Error("cannot write '" + target_.string() + "': no temporary name beside it could be locked");
}

TemporarySibling::~TemporarySibling() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  ::close(descriptor_);
}

AtomicFile::AtomicFile(const fs::path& path, std::uint64_t expected_bytes) : path_(path) {
  std::error_code ignored;
  const fs::file_type type = fs::status(path, ignored).type();
  if (type == fs::file_type::directory) throw Error("cannot write '" + path.string() + "': it is a folder");
  if (type != fs::file_type::regular && type != fs::file_type::not_found) {
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail_writing(path, errno);
    return;
  }
  temporary_.emplace(path, TemporarySibling::Kind::file);
  descriptor_ = temporary_->descriptor();
  // Any other error: the file system cannot reserve; writing will tell.
  if (expected_bytes > 0 && ::fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(expected_bytes)) != 0 &&
      is_out_of_space(errno)) {
    fail_writing(path, errno, expected_bytes);
  }
}

AtomicFile::~AtomicFile() {
  if (!temporary_) ::close(descriptor_);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  const std::uint64_t needed = written_ + bytes.size();
  while (!bytes.empty()) {
    const ssize_t put = ::write(descriptor_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_writing(path_, errno, needed);
    written_ += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

void AtomicFile::commit() {
  if (!temporary_) return;
  sync_to_disk(descriptor_, path_);
  const fs::path& target = temporary_->target();
  if (::rename(temporary_->path().c_str(), target.c_str()) != 0) fail_writing(path_, errno);
  sync_to_disk(target.parent_path());
}

void write_atomically(const fs::path& path, std::string_view text) {
  AtomicFile file(path, text.size());
  file.write(text);
  file.commit();
}

AtomicDirectory::AtomicDirectory(const fs::path& target) : temporary_(target, TemporarySibling::Kind::directory) {
  std::error_code ignored;
  const fs::file_status status = fs::status(target, ignored);
  if (fs::exists(status) && !fs::is_directory(status)) {
    throw Error("cannot write the folder '" + target.string() + "': a file of that name is in its place");
  }
}

void AtomicDirectory::commit() {
  std::error_code error;
  for (fs::recursive_directory_iterator it(path(), error), end; !error && it != end; it.increment(error)) {
    if (it->is_symlink(error)) continue;
    if (it->is_regular_file(error) || it->is_directory(error)) sync_to_disk(it->path());
  }
  const fs::path& target = temporary_.target();
  if (error) fail_writing(target, error.value());
  sync_to_disk(temporary_.descriptor(), path());

  // Once exchanged, the temporary name is the old folder's, and goes with it.
  if (::renameat2(AT_FDCWD, path().c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) != 0) {
    if (errno == EINVAL || errno == ENOSYS) {
      replace_in_two_steps(path(), target);
    } else if (errno != ENOENT || ::rename(path().c_str(), target.c_str()) != 0) {
      fail_writing(target, errno);
    }
  }
  sync_to_disk(target.parent_path());
}

LockedDirectory::LockedDirectory(const fs::path& path) : path_(path) {
  for (;;) {
    std::error_code error;
    fs::create_directories(path_, error);
    if (error) fail_writing(path_, error.value());
    descriptor_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor_ < 0 && errno == ENOENT) continue;  // its last user has just removed it
    if (descriptor_ < 0) fail_writing(path_, errno);
    // Any other error: a file system without locks.
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(descriptor_);
      throw Error("'" + path_.string() +
                  "': another process is working in this folder; wait until it ends, or choose another name");
    }
    if (still_has_a_name(descriptor_)) return;
    ::close(descriptor_);
  }
}

LockedDirectory::~LockedDirectory() {
  ::rmdir(path_.c_str());  // under the lock, so that it is not the next user's; fails where something is in it
  ::close(descriptor_);
}

void recover_directory(const fs::path& folder) { remove_leftovers(resolved(folder)); }

}  // namespace aid::io
