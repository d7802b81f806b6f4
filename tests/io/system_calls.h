// The C library's calls that bring files and their names to the disk, as this test program has them: each is noted on
// its way, and refused where a test asks for that. No power is cut; what would then be left is what is noted.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace aid::io::test {

// Plays a file system that cannot exchange two names.
extern bool exchange_unsupported;

// What is on the disk below a folder, as far as the calls since begin() have said so.
class Disk {
 public:
  void begin(const std::filesystem::path& root);
  void end();

  void synced(int descriptor);
  void all_synced();
  void renaming(int from_folder, const std::string& from, int to_folder, const std::string& to);
  void making(int folder, const std::string& name);
  // What is said of `path` from now on rests on its name.
  void told(std::filesystem::path path);

  int renames() const { return renames_; }
  int count_told() const { return told_; }
  const std::string& faults() const { return faults_; }

 private:
  using Inode = std::pair<dev_t, ino_t>;

  bool is_below(const std::string& path) const { return !root_.empty() && (path + "/").starts_with(root_); }
  static Inode inode_of(const std::filesystem::path& path);

  std::mutex mutex_;
  std::string root_;  // empty: nothing is noted
  std::set<Inode> synced_;
  std::map<std::filesystem::path, std::set<std::filesystem::path>> unsynced_names_;  // by folder
  int renames_ = 0, told_ = 0;
  std::string faults_;
};
extern Disk disk;

}  // namespace aid::io::test
