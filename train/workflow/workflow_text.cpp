// The workflow's metrics for a terminal.
#include <algorithm>
#include <cstdio>

#include "train/console/text_width.h"
#include "train/workflow/workflow_metrics.h"

namespace aid::train::workflow {
namespace {

constexpr size_t kShown = 10;

std::string decimals(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string fraction(int64_t part, int64_t whole) { return std::to_string(part) + "/" + std::to_string(whole); }

std::string cell_text(const LabelReport& report) {
  return decimals(report.accuracy, 6) + "  " + fraction(report.right, report.total) + "  [" +
         decimals(report.interval.low, 4) + ", " + decimals(report.interval.high, 4) + "]";
}

std::string four_accuracies(const WorkflowReport& report) {
  const std::string raw = "raw labels", unified = "unified labels";
  std::vector<std::vector<std::string>> rows{
      {"", raw, unified},
      {"file", cell_text(report.file_raw), cell_text(report.file_unified)},
      {"document",
       report.document_raw ? cell_text(*report.document_raw)
                           : "n/a: " + std::to_string(report.mixed_documents) + " documents of several raw labels",
       cell_text(report.document_unified)}};
  size_t width = 0;
  for (const auto& row : rows) width = std::max(width, width_of(row[1]));
  std::string text = "accuracy (a file without prediction is wrong; 95 % Wilson interval)\n";
  for (const auto& row : rows)
    text += "  " + left_aligned(row[0], 10) + left_aligned(row[1], width + 3) + row[2] + "\n";
  if (!report.grouped) text += "  every file is a document of its own; --doc-regex or --documents say otherwise\n";
  return text + "\n";
}

// scikit-learn's classification_report, as text.
std::string class_table(const LabelReport& report) {
  size_t width = width_of("weighted avg");
  for (const std::string& label : report.labels) width = std::max(width, width_of(label));
  constexpr size_t kColumn = 10;
  const auto line = [&](const std::string& name, const std::vector<std::string>& cells) {
    std::string text = right_aligned(name, width) + " ";
    for (const std::string& cell : cells) text += right_aligned(cell, kColumn);
    return text + "\n";
  };
  const auto values = [&](const PrecisionRecall& value, int64_t support) {
    return std::vector<std::string>{decimals(value.precision, 2), decimals(value.recall, 2), decimals(value.f1, 2),
                                    std::to_string(support)};
  };
  std::string text = line("", {"precision", "recall", "f1-score", "support"}) + "\n";
  for (size_t k = 0; k < report.labels.size(); ++k)
    text += line(report.labels[k], values(report.classes[k], report.support[k]));
  text += "\n" + line("accuracy", {"", "", decimals(report.accuracy, 2), std::to_string(report.total)});
  text += line("macro avg", values(report.macro, report.total));
  text += line("weighted avg", values(report.weighted, report.total));
  text += "\nbalanced accuracy " + decimals(report.balanced_accuracy, 4) + ", Matthews correlation " +
          decimals(report.matthews, 4) + ", Cohen's kappa " + decimals(report.kappa, 4);
  if (report.macro_f1_interval) {
    text += "\nmacro F1 " + decimals(report.macro.f1, 4) + " [" + decimals(report.macro_f1_interval->low, 4) + ", " +
            decimals(report.macro_f1_interval->high, 4) + "] (95 %, bootstrap)";
  }
  return text + "\n\n";
}

std::string confusion_table(const std::vector<Confusion>& confusions, Confusion::Kind kind, const char* title) {
  std::string text;
  size_t shown = 0, left_out = 0;
  for (const Confusion& confusion : confusions) {
    if (confusion.kind != kind) continue;
    if (shown == kShown) {
      ++left_out;
      continue;
    }
    ++shown;
    text += right_aligned(std::to_string(confusion.count), 7) + "  " + confusion.truth + " -> " +
            (confusion.predicted.empty() ? "(no prediction)" : confusion.predicted) + "  " +
            decimals(100 * confusion.share, 1) + " %:";
    for (size_t i = 0; i < std::min<size_t>(3, confusion.examples.size()); ++i)
      text += (i > 0 ? ", " : " ") + confusion.examples[i];
    text += confusion.count > 3 ? ", ...\n" : "\n";
  }
  if (left_out > 0) text += "         and " + std::to_string(left_out) + " more pairs\n";
  return text.empty() ? "" : std::string(title) + "\n" + text + "\n";
}

std::string names(const char* title, const std::vector<std::string>& keys) {
  if (keys.empty()) return "";
  std::string text = std::string(title) + " (" + std::to_string(keys.size()) + "):";
  for (size_t i = 0; i < std::min(kShown, keys.size()); ++i) text += (i > 0 ? ", " : " ") + keys[i];
  return text + (keys.size() > kShown ? ", ... (all in --json)\n" : "\n");
}

std::string rows_text(const WorkflowReport& report) {
  std::string text = std::to_string(report.units.size()) + " files of the truth, " + std::to_string(report.rows) +
                     " rows of results, coverage " + fraction(report.file_raw.matched, report.file_raw.total) + "\n";
  if (report.ignored > 0) text += std::to_string(report.ignored) + " files of ignored typologies left out\n";
  if (report.same_key > 0)
    text += std::to_string(report.same_key) + " files count as one with another of the same key and typology\n";
  if (report.rows_without_id > 0) text += std::to_string(report.rows_without_id) + " rows name no file\n";
  if (!report.duplicates.empty()) {
    std::vector<std::string> keys;
    for (const Duplicate& duplicate : report.duplicates) keys.push_back(duplicate.key + " (" + duplicate.kept + ")");
    text += names("files with several rows, and the label kept", keys);
  }
  text += names("labels of the mapping that occur nowhere; are they spelt as the folders are?", report.unused_labels);
  text += names("without a prediction, so wrong", report.missing);
  text += names("predicted, but not in the truth, so left out", report.extra);
  return text + "\n";
}

std::string scores_text(const ScoreReport& scores) {
  std::string text = "scores: ECE " + decimals(scores.calibration.expected_error, 4) + " (15 bins), MCE " +
                     decimals(scores.calibration.greatest_error, 4) + ", adaptive ECE " +
                     decimals(scores.calibration.adaptive_error, 4);
  if (scores.full_units > 0) {
    text += ", log-loss " + decimals(scores.log_loss, 4) + ", Brier " + decimals(scores.brier, 4);
    for (size_t k = 1; k < scores.top_k.size(); ++k)
      text += ", top-" + std::to_string(k + 1) + " " + decimals(scores.top_k[k], 4);
  }
  text += "\n";
  for (const double target : {0.9, 0.95, 0.99, 1.0}) {
    const auto point = threshold_for(scores.coverage, target);
    text += "  for " + decimals(100 * target, 0) + " % right: ";
    text += point ? "take scores from " + decimals(point->threshold, 4) + " on, " +
                        fraction(point->accepted, scores.units) + " of those with a score\n"
                  : "no threshold reaches it\n";
  }
  return text + "\n";
}

std::string comparison_text(const char* name, const Comparison& comparison) {
  return std::string("  ") + left_aligned(name, 16) + "difference " + (comparison.difference >= 0 ? "+" : "") +
         decimals(comparison.difference, 4) + " [" + decimals(comparison.interval.low, 4) + ", " +
         decimals(comparison.interval.high, 4) + "], only new right " + std::to_string(comparison.counts.only_new) +
         ", only old right " + std::to_string(comparison.counts.only_old) +
         ", McNemar's exact p = " + decimals(comparison.p_value, 4) +
         (comparison.p_value < 0.05 ? "\n" : ": may be chance\n");
}

}  // namespace

std::string to_text(const WorkflowReport& report, const std::optional<Compared>& compared,
                    const LabelReport& headline) {
  using enum Confusion::Kind;
  std::string text = rows_text(report) + class_table(report.file_unified);
  text += confusion_table(report.confusions, real, "confusions across unified labels: real errors");
  text += confusion_table(report.confusions, harmless, "confusions inside a unified label: harmless");
  text += confusion_table(report.confusions, missing, "without a prediction, by typology");
  if (report.file_unified.scores) text += scores_text(*report.file_unified.scores);
  text += four_accuracies(report);
  if (compared) {
    text += "against the old results, file by file\n" + comparison_text("raw labels", compared->raw) +
            comparison_text("unified labels", compared->unified) + "\n";
  }
  return text + "Accuracy unifying: " + decimals(headline.accuracy, 4) + " (" +
         fraction(headline.right, headline.total) + ")\n";
}

}  // namespace aid::train::workflow
