#include "tools/documents.h"

#include <chrono>

#include "tools/commands.h"
#include "train/console/interrupt.h"

namespace aid::tools {

void FileNotes::add(const std::string& what, const std::filesystem::path& file) {
  constexpr int64_t kNamed = 3;
  Files& files = notes_[what];
  if (++files.count <= kNamed) files.first_few += (files.count == 1 ? "" : ", ") + file.string();
}

std::vector<std::string> FileNotes::lines() const {
  std::vector<std::string> lines;
  for (const auto& [what, files] : notes_) {
    lines.push_back(files.count == 1
                        ? files.first_few + ": " + what
                        : std::to_string(files.count) + " files (the first: " + files.first_few + "): " + what);
  }
  return lines;
}

ClassifyResult classify_files(train::Classifier& classifier, std::span<const std::filesystem::path> files,
                              train::Progress& progress,
                              const std::function<void(size_t, const train::Verdict&)>& verdict) {
  using Clock = std::chrono::steady_clock;
  ClassifyResult result;
  FileNotes notes;
  const train::InterruptScope interrupts;
  const auto begin = Clock::now();
  progress.begin("classifying", static_cast<int64_t>(files.size()));
  classifier.classify(files, [&](size_t file, const train::Verdict& found) {
    if (found.scores.empty()) {
      progress.warn(files[file].string() + ": " + found.error);
      ++result.failed;
    } else {
      verdict(file, found);
    }
    for (const std::string& note : found.notes) notes.add(note, files[file]);
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    progress.update(static_cast<int64_t>(file) + 1,
                    train::short_number(static_cast<double>(file + 1) / seconds) + "files/s");
    result.interrupted = train::interrupt_requested();
    return !result.interrupted;
  });
  progress.end();
  for (const std::string& line : notes.lines()) progress.note(line);
  return result;
}

int conclude(const ClassifyResult& result, size_t files, train::Progress& progress) {
  if (result.failed > 0)
    progress.warn(std::to_string(result.failed) + " of " + std::to_string(files) + " files could not be read");
  if (result.interrupted) {
    progress.warn("interrupted: the results so far are complete lines");
    return kInterrupted;
  }
  return result.failed > 0 ? kSomeFailed : kDone;
}

}  // namespace aid::tools
