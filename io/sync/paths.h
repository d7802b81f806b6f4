// Which names of objects can be names of files, and which are wanted.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace aid::io::sync {

// Why a path, relative to the folder that is synchronised, is no safe name for a file; empty if it is one. Refused:
// empty components ("a//b", "/a"), "." and "..", a drive letter, NUL, what is not UTF-8, a component of more than 255
// bytes, and the folder of the manifest.
std::string why_unsafe(std::string_view path);

enum class NameCase { sensitive, insensitive };

// Finds names that no folder can hold together: a file where a folder is needed, and, on disks that do not tell upper
// from lower case (or é from e with an accent), names that differ in nothing else.
class NameSet {
 public:
  explicit NameSet(NameCase name_case) : name_case_(name_case) {}

  // Why the file cannot be there beside those before it; empty if it can, and it is kept. Paths must come by rising
  // bytes within a folder, as S3 lists them.
  std::string add(const std::string& path);
  bool contains(const std::string& path) const { return files_.contains(folded(path)); }

 private:
  std::string folded(const std::string& path) const;

  NameCase name_case_;
  std::unordered_set<std::string> files_, folders_;
  std::string last_folder_;  // of the file before: its folders are known to be none of `files_`
};

// Shell patterns as `aws s3` has them: '*' stands for any bytes, '/' too, '?' for one, [a-z] and [!a-z] for one of
// these. The whole of the text must match.
bool matches(std::string_view pattern, std::string_view text);

enum class Choice { include, exclude };
struct FilterRule {
  Choice choice = Choice::exclude;
  std::string pattern;
};
// All are included at first; the last rule that matches counts.
bool is_wanted(const std::vector<FilterRule>& rules, std::string_view path);

// For messages: control characters and broken UTF-8 as \xNN, so that no name can do anything to a terminal.
std::string printable(std::string_view name);

}  // namespace aid::io::sync
