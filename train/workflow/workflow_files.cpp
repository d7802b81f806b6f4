// The workflow's metrics as files: JSON and CSV.
#include <nlohmann/json.hpp>

#include "io/csv.h"
#include "io/error.h"
#include "io/file.h"
#include "train/model/versions.h"
#include "train/workflow/heat_map.h"
#include "train/workflow/workflow_metrics.h"

namespace aid::train::workflow {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

Json pair_of(const Interval& interval) { return {interval.low, interval.high}; }

Json classes_json(const LabelReport& report) {
  Json classes = Json::array();
  for (size_t k = 0; k < report.labels.size(); ++k) {
    classes.push_back({{"label", report.labels[k]},
                       {"precision", report.classes[k].precision},
                       {"recall", report.classes[k].recall},
                       {"f1-score", report.classes[k].f1},
                       {"support", report.support[k]}});
  }
  return classes;
}

Json average_json(const LabelReport& report) {
  const auto values = [](const PrecisionRecall& value) {
    return Json{{"precision", value.precision}, {"recall", value.recall}, {"f1-score", value.f1}};
  };
  return {{"macro avg", values(report.macro)},
          {"weighted avg", values(report.weighted)},
          {"balanced_accuracy", report.balanced_accuracy},
          {"matthews_correlation", report.matthews},
          {"cohen_kappa", report.kappa}};
}

// The matrix has one more column than rows: "no_prediction".
Json confusion_json(const LabelReport& report) {
  Json matrix = Json::array();
  const size_t columns = report.labels.size() + 1;
  for (size_t row = 0; row < report.labels.size(); ++row) {
    const auto begin = report.confusion.begin() + static_cast<std::ptrdiff_t>(row * columns);
    matrix.push_back(std::vector<int64_t>(begin, begin + static_cast<std::ptrdiff_t>(columns)));
  }
  std::vector<std::string> predicted = report.labels;
  predicted.push_back("no_prediction");
  return {{"labels", report.labels}, {"columns", predicted}, {"matrix", matrix}};
}

Json confusions_json(const std::vector<Confusion>& confusions) {
  Json list = Json::array();
  for (const Confusion& confusion : confusions) {
    const char* kind = confusion.kind == Confusion::Kind::real       ? "across"
                       : confusion.kind == Confusion::Kind::harmless ? "inside"
                                                                     : "missing";
    list.push_back({{"truth", confusion.truth},
                    {"predicted", confusion.predicted.empty() ? Json() : Json(confusion.predicted)},
                    {"kind", kind},
                    {"count", confusion.count},
                    {"share_of_truth", confusion.share},
                    {"files", confusion.examples}});
  }
  return list;
}

Json scores_json(const std::optional<ScoreReport>& scores) {
  if (!scores) return nullptr;
  Json bins = Json::array(), thresholds = Json::array();
  for (const ReliabilityBin& bin : scores->calibration.bins) {
    const double count = static_cast<double>(bin.count);
    bins.push_back({{"low", bin.low},
                    {"high", bin.high},
                    {"count", bin.count},
                    {"accuracy", bin.count > 0 ? Json(static_cast<double>(bin.right) / count) : Json()},
                    {"confidence", bin.count > 0 ? Json(bin.confidence_sum / count) : Json()}});
  }
  for (const double target : {0.9, 0.95, 0.99, 1.0}) {
    const auto point = threshold_for(scores->coverage, target);
    thresholds.push_back({{"accuracy", target},
                          {"threshold", point ? Json(point->threshold) : Json()},
                          {"accepted", point ? point->accepted : 0}});
  }
  Json json{{"n_scored", scores->units},
            {"ece", scores->calibration.expected_error},
            {"mce", scores->calibration.greatest_error},
            {"adaptive_ece", scores->calibration.adaptive_error},
            {"reliability", bins},
            {"thresholds", thresholds}};
  if (scores->full_units > 0) {
    json["n_full"] = scores->full_units;
    json["log_loss"] = scores->log_loss;
    json["brier"] = scores->brier;
    json["top_k_accuracy"] = scores->top_k;
  }
  return json;
}

Json comparison_json(const Comparison& comparison) {
  return {{"both_right", comparison.counts.both},         {"only_new_right", comparison.counts.only_new},
          {"only_old_right", comparison.counts.only_old}, {"both_wrong", comparison.counts.neither},
          {"difference", comparison.difference},          {"difference_ci95", pair_of(comparison.interval)},
          {"mcnemar_exact_p", comparison.p_value}};
}

Json input_json(const io::ResultsTable& table) {
  return {{"path", table.name}, {"sha256", table.sha256}, {"rows", table.rows.size()}, {"format", table.format}};
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

void write(const fs::path& file, const std::vector<std::vector<std::string>>& records) {
  std::string text;
  for (const auto& record : records) io::append_csv_record(text, record);
  io::write_atomically(file, text);
}

enum class Normalise : unsigned char { no, rows };

void write_confusion(const fs::path& file, const LabelReport& report, Normalise normalise) {
  std::vector<std::vector<std::string>> records{{"truth"}};
  records[0].insert(records[0].end(), report.labels.begin(), report.labels.end());
  records[0].push_back("no_prediction");
  for (size_t row = 0; row < report.labels.size(); ++row) {
    std::vector<std::string> record{report.labels[row]};
    for (size_t column = 0; column <= report.labels.size(); ++column) {
      const int64_t count = report.confused(row, column);
      const double share =
          report.support[row] > 0 ? static_cast<double>(count) / static_cast<double>(report.support[row]) : 0;
      record.push_back(normalise == Normalise::rows ? number(share) : std::to_string(count));
    }
    records.push_back(std::move(record));
  }
  write(file, records);
}

void write_classes(const fs::path& file, const LabelReport& report) {
  std::vector<std::vector<std::string>> records{{"label", "precision", "recall", "f1-score", "support"}};
  for (size_t k = 0; k < report.labels.size(); ++k) {
    const PrecisionRecall& value = report.classes[k];
    records.push_back({report.labels[k], number(value.precision), number(value.recall), number(value.f1),
                       std::to_string(report.support[k])});
  }
  write(file, records);
}

}  // namespace

std::string to_json(const WorkflowReport& report, const std::optional<Compared>& compared, const Provenance& from) {
  const LabelReport &raw = report.file_raw, &unified = report.file_unified, &documents = report.document_unified;
  Json json;
  json["n_truth"] = raw.total;
  json["n_pred"] = report.rows;
  json["n_matched"] = raw.matched;
  json["n_missing"] = report.missing.size();
  json["n_extra"] = report.extra.size();
  json["n_duplicate"] = report.duplicate_rows;
  json["n_ignored"] = report.ignored;
  json["n_without_id"] = report.rows_without_id;
  json["n_documents"] = documents.total;
  json["accuracy"] = raw.accuracy;
  json["accuracy_covered"] = raw.accuracy_covered;
  json["accuracy_unifying"] = unified.accuracy;
  json["accuracy_unifying_covered"] = unified.accuracy_covered;
  json["accuracy_document"] = report.document_raw ? Json(report.document_raw->accuracy) : Json();
  json["accuracy_unifying_document"] = documents.accuracy;
  json["n_right"] = {{"accuracy", raw.right},
                     {"accuracy_unifying", unified.right},
                     {"accuracy_document", report.document_raw ? Json(report.document_raw->right) : Json()},
                     {"accuracy_unifying_document", documents.right}};
  Json& intervals = json["ci95"] = {{"accuracy", pair_of(raw.interval)},
                                    {"accuracy_covered", pair_of(raw.covered_interval)},
                                    {"accuracy_unifying", pair_of(unified.interval)},
                                    {"accuracy_unifying_covered", pair_of(unified.covered_interval)},
                                    {"accuracy_unifying_document", pair_of(documents.interval)}};
  if (report.document_raw) intervals["accuracy_document"] = pair_of(report.document_raw->interval);
  if (raw.macro_f1_interval) intervals["macro_f1_raw"] = pair_of(*raw.macro_f1_interval);
  if (unified.macro_f1_interval) intervals["macro_f1_unified"] = pair_of(*unified.macro_f1_interval);
  json["per_class_raw"] = classes_json(raw);
  json["per_class_unified"] = classes_json(unified);
  json["averages_raw"] = average_json(raw);
  json["averages_unified"] = average_json(unified);
  json["confusion_raw"] = confusion_json(raw);
  json["confusion_unified"] = confusion_json(unified);
  json["top_confusions"] = confusions_json(report.confusions);
  json["calibration"] = {{"raw", scores_json(raw.scores)}, {"unified", scores_json(unified.scores)}};
  json["missing"] = report.missing;
  json["extra"] = report.extra;
  Json& duplicates = json["duplicates"] = Json::array();
  for (const Duplicate& duplicate : report.duplicates)
    duplicates.push_back({{"key", duplicate.key}, {"labels", duplicate.labels}, {"kept", duplicate.kept}});
  if (compared)
    json["compare"] = {{"raw", comparison_json(compared->raw)}, {"unified", comparison_json(compared->unified)}};
  json["mapping"] = {{"source", from.labels->source},
                     {"unused_labels", report.unused_labels},
                     {"sha256", from.labels->sha256.empty() ? Json() : Json(from.labels->sha256)}};
  json["truth"] = {{"path", from.truth->folder.string()}, {"sha256", from.truth->sha256}};
  json["columns"] = {{"id", from.columns.id},
                     {"prediction", from.columns.prediction},
                     {"score", from.columns.score},
                     {"time", from.columns.time}};
  json["inputs"] = Json::array({input_json(*from.results)});
  if (from.compared != nullptr) json["inputs"].push_back(input_json(*from.compared));
  json["tool_version"] = program_version();
  return json.dump(2) + "\n";
}

void write_csv(const WorkflowReport& report, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw io::Error("cannot make the folder '" + folder.string() + "': " + error.message());
  std::vector<std::vector<std::string>> records{
      {"key", "file", "truth", "predicted", "unified_truth", "unified_predicted", "score", "right", "right_unified"}};
  for (const Unit& unit : report.units) {
    records.push_back({unit.key, unit.file.string(), unit.truth, unit.predicted, unit.unified_truth,
                       unit.unified_predicted, unit.score ? number(*unit.score) : "",
                       unit.truth == unit.predicted ? "1" : "0",
                       unit.unified_truth == unit.unified_predicted ? "1" : "0"});
  }
  write(folder / "units.csv", records);
  for (const auto& [name, labels] : {std::pair("raw", &report.file_raw), std::pair("unified", &report.file_unified)}) {
    write_confusion(folder / (std::string("confusion_") + name + ".csv"), *labels, Normalise::no);
    write_confusion(folder / (std::string("confusion_") + name + "_normalised.csv"), *labels, Normalise::rows);
    write_classes(folder / (std::string("per_class_") + name + ".csv"), *labels);
    io::write_atomically(folder / (std::string("confusion_") + name + ".svg"),
                         heat_map_svg(*labels, std::string("Confusions of files, ") + name + " labels"));
  }
  if (!report.file_unified.scores) return;
  const ScoreReport& scores = *report.file_unified.scores;
  records = {{"threshold", "accepted", "coverage", "right", "accuracy"}};
  for (const CoveragePoint& point : scores.coverage) {
    const double accepted = static_cast<double>(point.accepted);
    records.push_back({number(point.threshold), std::to_string(point.accepted),
                       number(accepted / static_cast<double>(report.units.size())), std::to_string(point.right),
                       number(static_cast<double>(point.right) / accepted)});
  }
  write(folder / "coverage.csv", records);
}

}  // namespace aid::train::workflow
