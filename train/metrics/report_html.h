// One HTML file about an evaluation, for people: the confusion matrix with its files, errors with their texts or pages,
// a threshold to try, reliability, class balance. Self-contained: it loads nothing, so it can be mailed and archived.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/metrics/statistics.h"

namespace aid::train {

struct ReportedFile {
  std::filesystem::path file;
  std::string truth, predicted;                  // predicted empty: none
  std::string unified_truth, unified_predicted;  // as the others where nothing is unified
  std::optional<double> score;                   // of the prediction
};

struct HtmlReport {
  std::string title;
  std::string headline;  // what the great number is
  int64_t right = 0, total = 0;
  std::vector<std::pair<std::string, std::string>> facts;  // name and value, in order
  std::vector<ReportedFile> files;
};

// Writes FOLDER/report.html. The surest errors come with the beginning of their text, or their image (as it is, up to
// 300 KB each and 20 MB together), where the file can still be read. Throws io::Error.
void write_html_report(const std::filesystem::path& folder, const HtmlReport& report);

}  // namespace aid::train
