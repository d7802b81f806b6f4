// What eval and predict share: going over many files, telling what went wrong with some of them.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "train/console/progress.h"
#include "train/model/classifier.h"

namespace aid::tools {

// Things to tell about many files: each is one line, with how many files it is about and the first few of them.
class FileNotes {
 public:
  void add(const std::string& what, const std::filesystem::path& file);
  std::vector<std::string> lines() const;

 private:
  struct Files {
    int64_t count = 0;
    std::string first_few;
  };
  std::map<std::string, Files> notes_;
};

struct ClassifyResult {
  int64_t failed = 0;  // files that could not be read, each named on stderr
  bool interrupted = false;
};
// Classifies the files with progress. `verdict` gets those that could be read, in order.
ClassifyResult classify_files(train::Classifier& classifier, std::span<const std::filesystem::path> files,
                              train::Progress& progress,
                              const std::function<void(size_t file, const train::Verdict& verdict)>& verdict);

// The exit status, after a last word on stderr about files that failed.
int conclude(const ClassifyResult& result, size_t files, train::Progress& progress);

}  // namespace aid::tools
