// Metrics as a table and as JSON.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "train/console/text_width.h"
#include "train/metrics/metrics.h"

namespace aid::train {
namespace {

std::string decimals(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

std::string rule(size_t width) {
  std::string line;
  for (size_t i = 0; i < width; ++i) line += "─";
  return line + "\n";
}

constexpr size_t kColumn = 11;

std::string class_line(const std::string& name, size_t name_width, const PrecisionRecall& value, int64_t support) {
  return left_aligned(name, name_width) + right_aligned(decimals(value.precision), kColumn) +
         right_aligned(decimals(value.recall), kColumn) + right_aligned(decimals(value.f1), kColumn) +
         right_aligned(std::to_string(support), kColumn) + "\n";
}

std::string confusion_table(const Metrics& metrics, size_t name_width) {
  const size_t classes = metrics.labels.size();
  const int64_t most = *std::max_element(metrics.confusion.begin(), metrics.confusion.end());
  const size_t number = std::to_string(classes).size();
  const size_t cell = std::max(number, std::to_string(most).size()) + 2;
  std::string table = "confusion matrix (rows: truth, columns: verdict)\n" + std::string(number + 1 + name_width, ' ');
  for (size_t p = 0; p < classes; ++p) table += right_aligned(std::to_string(p + 1), cell);
  table += "\n";
  for (size_t t = 0; t < classes; ++t) {
    table += right_aligned(std::to_string(t + 1), number) + " " + left_aligned(metrics.labels[t], name_width);
    for (size_t p = 0; p < classes; ++p) {
      const int64_t count = metrics.confused(t, p);
      table += right_aligned(count == 0 ? "·" : std::to_string(count), cell);
    }
    table += "\n";
  }
  return table;
}

nlohmann::json json_of(const PrecisionRecall& value) {
  return {{"precision", value.precision}, {"recall", value.recall}, {"f1", value.f1}};
}

}  // namespace

std::string to_table(const Metrics& metrics) {
  size_t name_width = width_of("weighted average");
  for (const std::string& label : metrics.labels) name_width = std::max(name_width, width_of(label));
  const std::string line = rule(name_width + 4 * kColumn);
  std::string table = left_aligned("", name_width) + right_aligned("precision", kColumn) +
                      right_aligned("recall", kColumn) + right_aligned("f1", kColumn) +
                      right_aligned("texts", kColumn) + "\n" + line;
  for (size_t k = 0; k < metrics.labels.size(); ++k) {
    table += class_line(metrics.labels[k], name_width, metrics.classes[k], metrics.support[k]);
  }
  table += line;
  table += class_line("macro average", name_width, metrics.macro, metrics.texts);
  table += class_line("micro average", name_width, metrics.micro, metrics.texts);
  table += class_line("weighted average", name_width, metrics.weighted, metrics.texts);
  table += line;
  int64_t right_verdicts = 0;
  for (size_t k = 0; k < metrics.labels.size(); ++k) right_verdicts += metrics.confused(k, k);
  table += "accuracy " + decimals(metrics.accuracy) + ", " + std::to_string(right_verdicts) + " of " +
           std::to_string(metrics.texts) + " (95 %: " + decimals(metrics.accuracy_low) + " to " +
           decimals(metrics.accuracy_high) + ")\n";
  table += "log-loss " + decimals(metrics.log_loss) + ", calibration error " + decimals(metrics.calibration_error) +
           " (15 bins)\n\n";
  return table + confusion_table(metrics, name_width);
}

std::string to_json(const Metrics& metrics) {
  nlohmann::ordered_json json;
  json["texts"] = metrics.texts;
  json["accuracy"] = metrics.accuracy;
  json["accuracy_wilson_95"] = {metrics.accuracy_low, metrics.accuracy_high};
  json["macro"] = json_of(metrics.macro);
  json["micro"] = json_of(metrics.micro);
  json["weighted"] = json_of(metrics.weighted);
  json["log_loss"] = metrics.log_loss;
  json["expected_calibration_error_15_bins"] = metrics.calibration_error;
  auto& classes = json["classes"] = nlohmann::ordered_json::object();
  auto& confusion = json["confusion"] = nlohmann::ordered_json::array();
  for (size_t k = 0; k < metrics.labels.size(); ++k) {
    auto& entry = classes[metrics.labels[k]] = json_of(metrics.classes[k]);
    entry["support"] = metrics.support[k];
    const auto row = metrics.confusion.begin() + static_cast<std::ptrdiff_t>(k * metrics.labels.size());
    confusion.push_back(std::vector<int64_t>(row, row + static_cast<std::ptrdiff_t>(metrics.labels.size())));
  }
  json["labels"] = metrics.labels;
  return json.dump(2) + "\n";
}

}  // namespace aid::train
