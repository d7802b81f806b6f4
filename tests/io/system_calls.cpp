#include "tests/io/system_calls.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace aid::io::test {
namespace {

namespace fs = std::filesystem;

fs::path path_of(int descriptor) {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/fd/" + std::to_string(descriptor), ignored);
}
fs::path absolute(int folder, const std::string& name) {
  return folder == AT_FDCWD ? fs::path(name) : path_of(folder) / name;
}

}  // namespace

bool exchange_unsupported = false;
Disk disk;

void Disk::begin(const fs::path& root) {
  const std::lock_guard lock(mutex_);
  root_ = root.string() + "/";
  synced_.clear();
  unsynced_names_.clear();
  renames_ = told_ = 0;
  faults_.clear();
}

void Disk::end() {
  const std::lock_guard lock(mutex_);
  root_.clear();
}

void Disk::synced(int descriptor) {
  const std::lock_guard lock(mutex_);
  const fs::path path = path_of(descriptor);
  if (!is_below(path.string())) return;
  synced_.insert(inode_of(path));
  unsynced_names_.erase(path);
}

void Disk::all_synced() {
  const std::lock_guard lock(mutex_);
  if (root_.empty()) return;
  for (const auto& entry : fs::recursive_directory_iterator(root_)) synced_.insert(inode_of(entry.path()));
  unsynced_names_.clear();
}

void Disk::renaming(int from_folder, const std::string& from, int to_folder, const std::string& to) {
  const std::lock_guard lock(mutex_);
  const fs::path old = absolute(from_folder, from), name = absolute(to_folder, to);
  if (!is_below(name.string())) return;
  ++renames_;
  std::set<fs::path> files = {old};
  if (fs::is_directory(old)) {
    for (const auto& entry : fs::recursive_directory_iterator(old)) files.insert(entry.path());
  }
  for (const fs::path& file : files) {
    if (!synced_.contains(inode_of(file))) faults_ += name.string() + " before its bytes\n";
  }
  unsynced_names_[name.parent_path()].insert(name);
}

void Disk::making(int folder, const std::string& name) {
  const std::lock_guard lock(mutex_);
  const fs::path path = absolute(folder, name);
  if (is_below(path.string())) unsynced_names_[path.parent_path()].insert(path);
}

void Disk::told(fs::path path) {
  const std::lock_guard lock(mutex_);
  ++told_;
  for (; is_below(path.string()); path = path.parent_path()) {
    const auto folder = unsynced_names_.find(path.parent_path());
    if (folder != unsynced_names_.end() && folder->second.contains(path)) {
      faults_ += path.string() + " told before its name is on the disk\n";
    }
  }
}

Disk::Inode Disk::inode_of(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? Inode(status.st_dev, status.st_ino) : Inode();
}

}  // namespace aid::io::test

using aid::io::test::disk;

// They stand before the C library's.
extern "C" {
int fsync(int descriptor) {
  const long result = ::syscall(SYS_fsync, descriptor);
  if (result == 0) disk.synced(descriptor);
  return static_cast<int>(result);
}
int syncfs(int descriptor) noexcept {
  const long result = ::syscall(SYS_syncfs, descriptor);
  if (result == 0) disk.all_synced();
  return static_cast<int>(result);
}
int mkdirat(int folder, const char* name, mode_t mode) noexcept {
  const long result = ::syscall(SYS_mkdirat, folder, name, mode);
  if (result == 0) disk.making(folder, name);
  return static_cast<int>(result);
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  if (aid::io::test::exchange_unsupported && flags != 0) {
    errno = EINVAL;
    return -1;
  }
  disk.renaming(from_folder, from, to_folder, to);
  return static_cast<int>(::syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return ::renameat2(from_folder, from, to_folder, to, 0);
}
int rename(const char* from, const char* to) noexcept { return ::renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
}
