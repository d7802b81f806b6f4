#include "io/sync/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <vector>

#include "io/error.h"
#include "io/sync/manifest.h"

namespace aid::io::sync {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kOpenFolders = 256;
constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

Descriptor::~Descriptor() {
  if (value_ >= 0) ::close(value_);
}

Tree::Tree(const fs::path& root) : root_(root) {
  Descriptor descriptor(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor) fail("cannot open the folder", "", errno);
  folders_.emplace("", std::move(descriptor));
}

void Tree::fail(const char* what, const std::string& path, int error) const {
  const std::string place = path.empty() ? root_.string() : (root_ / path).string();
  std::string message = std::string(what) + " '" + printable(place) + "': " + std::generic_category().message(error);
  if (error == ENOSPC || error == EDQUOT) message += "; make room, then run again: what is there already stays";
  throw Error(message);
}

// Null where a component is not there or is no folder, with errno.
const Descriptor* Tree::find_folder(const std::string& path) {
  const auto known = folders_.find(path);
  if (known != folders_.end()) return &known->second;
  const Descriptor* above = find_folder(parent_of(path));
  if (above == nullptr) return nullptr;
  Descriptor descriptor(::openat(above->get(), name_of(path).c_str(), kFolder));
  if (!descriptor) return nullptr;
  if (folders_.size() >= kOpenFolders) {
    Descriptor root = std::move(folders_.at(""));
    folders_.clear();
    folders_.emplace("", std::move(root));
  }
  return &folders_.emplace(path, std::move(descriptor)).first->second;
}

const Descriptor& Tree::folder(const std::string& path, bool create) {
  if (const Descriptor* found = find_folder(path)) return *found;
  int error = errno;
  if (error == ENOENT && create) {
    const Descriptor& above = folder(parent_of(path), true);
    if (::mkdirat(above.get(), name_of(path).c_str(), 0777) != 0 && errno != EEXIST)
      fail("cannot make the folder", path, errno);
    renamed_.insert(parent_of(path));
    if (const Descriptor* found = find_folder(path)) return *found;
    error = errno;
  }
  if (error == ENOTDIR || error == ELOOP) {
    throw Error("'" + printable((root_ / path).string()) +
                "' is a file or a link; a folder is needed there (links are not followed): move it away");
  }
  fail("cannot open the folder", path, error);
}

std::optional<LocalFile> Tree::find(const std::string& path) {
  const Descriptor* above = find_folder(parent_of(path));
  struct stat status {};
  if (above == nullptr || ::fstatat(above->get(), name_of(path).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(status.st_mode)) {
    return std::nullopt;
  }
  return LocalFile{.size = static_cast<std::uint64_t>(status.st_size),
                   .mtime = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

Descriptor Tree::open_file(const std::string& path) {
  Descriptor descriptor(
      ::openat(folder(parent_of(path), false).get(), name_of(path).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!descriptor) fail("cannot read", path, errno);
  return descriptor;
}

void Tree::make_folder(const std::string& path) { folder(path, true); }

void Tree::remove_file(const std::string& path) {
  if (::unlinkat(folder(parent_of(path), false).get(), name_of(path).c_str(), 0) != 0 && errno != ENOENT) {
    fail("cannot remove", path, errno);
  }
  for (std::string empty = parent_of(path); empty.find('/') != std::string::npos; empty = parent_of(empty)) {
    folders_.erase(empty);
    if (::unlinkat(folder(parent_of(empty), false).get(), name_of(empty).c_str(), AT_REMOVEDIR) != 0) return;
  }
}

const Descriptor& Tree::temporaries() {
  if (!temporaries_) {
    const std::string path = std::string(kStateFolder) + "/tmp";
    folder(path, true);
    temporaries_ = std::move(folders_.at(path));
    folders_.erase(path);
  }
  return temporaries_;
}

Descriptor Tree::create_temporary(const std::string& name) {
  Descriptor descriptor(
      ::openat(temporaries().get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!descriptor) fail("cannot write below", "", errno);
  return descriptor;
}

Descriptor Tree::open_temporary(const std::string& name) {
  return Descriptor(::openat(temporaries().get(), name.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
}

void Tree::remove_temporary(const std::string& name) { ::unlinkat(temporaries().get(), name.c_str(), 0); }

void Tree::clean_temporaries(const std::function<bool(const std::string&)>& wanted) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(::dup(temporaries().get())), ::closedir);
  if (listing == nullptr) return;
  std::vector<std::string> leftovers;
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && !wanted(name)) leftovers.push_back(name);
  }
  for (const std::string& name : leftovers) remove_temporary(name);
}

void Tree::set_time(int descriptor, std::int64_t mtime) {
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                             {.tv_sec = mtime / 1'000'000'000, .tv_nsec = mtime % 1'000'000'000}};
  ::futimens(descriptor, times);
}

void Tree::place(const std::string& temporary, const std::string& path) {
  const Descriptor& target = folder(parent_of(path), true);
  if (::renameat(temporaries().get(), temporary.c_str(), target.get(), name_of(path).c_str()) != 0) {
    fail(errno == EISDIR ? "a folder is where a file is needed:" : "cannot write", path, errno);
  }
  renamed_.insert(parent_of(path));
}

void Tree::flush_names() {
  for (const std::string& path : renamed_) {
    // EINVAL: a file system whose folders cannot be flushed.
    if (::fsync(folder(path, false).get()) != 0 && errno != EINVAL) fail("cannot flush the folder", path, errno);
  }
  renamed_.clear();
}

void Tree::flush() {
  if (::syncfs(folders_.at("").get()) != 0) fail("cannot flush to the disk what is below", "", errno);
}

NameCase Tree::name_case() {
  const std::string probe = "Case";
  remove_temporary(probe);
  create_temporary(probe);
  const Descriptor other = open_temporary("cASE");
  remove_temporary(probe);
  return other ? NameCase::insensitive : NameCase::sensitive;
}

}  // namespace aid::io::sync
