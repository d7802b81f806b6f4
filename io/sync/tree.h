// The files below one folder, reached without ever following a link: not the folder's own, but every one below it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "io/sync/paths.h"

namespace aid::io::sync {

class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  int get() const { return value_; }
  explicit operator bool() const { return value_ >= 0; }

 private:
  int value_;
};

struct LocalFile {
  std::uint64_t size = 0;
  std::int64_t mtime = 0;  // nanoseconds since 1970-01-01 UTC
};

// Paths are relative and safe (why_unsafe). Everything throws Error that names the path. One thread at a time.
class Tree {
 public:
  explicit Tree(const std::filesystem::path& root);  // the folder must be there

  // A file as it stands; none where there is nothing, or something else.
  std::optional<LocalFile> find(const std::string& path);
  Descriptor open_file(const std::string& path);
  void make_folder(const std::string& path);
  void remove_file(const std::string& path);  // and the folders that it leaves empty, but for the first component

  // Temporary files live in .aid-sync/tmp.
  Descriptor create_temporary(const std::string& name);
  Descriptor open_temporary(const std::string& name);  // none where it is not there
  void remove_temporary(const std::string& name);
  // Removes the temporary files of runs that ended early, but those that are wanted.
  void clean_temporaries(const std::function<bool(const std::string& name)>& wanted);
  // Gives a temporary file its modification time.
  static void set_time(int descriptor, std::int64_t mtime);
  // Puts a temporary file in its place; the folders it needs are made.
  void place(const std::string& temporary, const std::string& path);
  // The names that place() gave reach the disk.
  void flush_names();

  // All that was written below the folder reaches the disk.
  void flush();
  NameCase name_case();

 private:
  const Descriptor& folder(const std::string& path, bool create);
  const Descriptor* find_folder(const std::string& path);
  const Descriptor& temporaries();
  [[noreturn]] void fail(const char* what, const std::string& path, int error) const;

  std::filesystem::path root_;
  std::unordered_map<std::string, Descriptor> folders_;
  std::set<std::string> renamed_;  // folders in which a name is not known to be on the disk
  Descriptor temporaries_;
};

}  // namespace aid::io::sync
