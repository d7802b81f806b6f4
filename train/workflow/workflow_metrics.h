// Metrics of the workflow: how many of the files (and of the documents that they are pages of) the workflow gave the
// right typology, as labelled and as the business unifies labels. With G the truth's units, t(d) the truth of d, p(d)
// its prediction (none: wrong, whatever it is compared with) and u the unification:
//   accuracy           = |{d in G : p(d) = t(d)}| / |G|
//   accuracy unifying  = |{d in G : u(p(d)) = u(t(d))}| / |G|
// and the same over documents, whose prediction aggregates their pages' (train/workflow/documents.h).
// Precision, recall, F1 and their averages are scikit-learn's over the labels that occur among truth or predictions;
// a unit without a prediction counts in the recall of its class alone.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "train/metrics/statistics.h"
#include "train/workflow/documents.h"
#include "train/workflow/labels.h"
#include "train/workflow/units.h"

namespace aid::train::workflow {

struct Unit {
  std::string key;
  std::filesystem::path file;
  std::string truth, unified_truth;
  std::string predicted, unified_predicted;  // empty: no prediction
  std::optional<double> score, unified_score;
  std::map<std::string, double> scores, unified_scores;
  std::string document;
  int64_t page = 0;
};

// What the scores say, over the units that have one.
struct ScoreReport {
  int64_t units = 0;  // with a score
  Calibration calibration;
  std::vector<CoveragePoint> coverage;
  // Over the units with a score for each label.
  int64_t full_units = 0;
  std::vector<double> top_k;  // [k - 1]: the truth is among the k highest scores; ties count against it
  double log_loss = 0;        // p of the truth clipped to [eps, 1 - eps] with f64's eps
  double brier = 0;           // mean of the sum over labels of (p - truth)^2 (Brier 1950)
};

// One of {file, document} x {raw, unified}.
struct LabelReport {
  std::vector<std::string> labels;  // that occur, sorted
  std::vector<int64_t> confusion;   // [labels, labels + 1], rows are the truth, the last column is "no prediction"
  int64_t total = 0, matched = 0, right = 0;
  double accuracy = 0, accuracy_covered = 0;
  Interval interval, covered_interval;
  std::vector<PrecisionRecall> classes;
  std::vector<int64_t> support;
  PrecisionRecall macro, weighted;
  double balanced_accuracy = 0, matthews = 0, kappa = 0;
  std::optional<Interval> macro_f1_interval;  // percentile bootstrap
  std::optional<ScoreReport> scores;

  int64_t confused(size_t truth, size_t predicted) const { return confusion[truth * (labels.size() + 1) + predicted]; }
  int64_t unpredicted(size_t truth) const { return confused(truth, labels.size()); }
};

struct Judged {
  std::string truth, predicted;  // predicted empty: none
};
LabelReport judge(const std::vector<Judged>& judged);

struct Confusion {
  std::string truth, predicted;  // raw labels; predicted empty: none
  int64_t count = 0;
  double share = 0;                                                               // of the truth's units
  enum class Kind : unsigned char { harmless, real, missing } kind = Kind::real;  // harmless: unified, they are one
  std::vector<std::string> examples;                                              // the first files
};

struct WorkflowOptions {
  Aggregate aggregate = Aggregate::vote;
  int bootstrap = 10000;  // replicates, 0: none
  uint64_t seed = 0;
};

struct WorkflowReport {
  std::vector<Unit> units;  // by key
  LabelReport file_raw, file_unified, document_unified;
  std::optional<LabelReport> document_raw;  // none where pages of one document differ in their raw truth
  int64_t mixed_documents = 0;              // how many of those there are
  bool grouped = false;                     // some document has several units
  std::vector<std::string> missing, extra;  // keys
  std::vector<Duplicate> duplicates;
  std::vector<std::string> unused_labels;  // that the mapping lists, and neither truth nor predictions hold
  int64_t duplicate_rows = 0;
  int64_t rows = 0, rows_without_id = 0, ignored = 0, same_key = 0;
  std::vector<Confusion> confusions;  // most frequent first
};
// Throws io::Error where a document's pages differ in their unified truth.
WorkflowReport measure_workflow(const Truth& truth, const Predictions& predictions, const LabelMap& labels,
                                const PageMap& pages, const WorkflowOptions& options);

struct Comparison {
  PairedCounts counts;
  double difference = 0, p_value = 1;
  Interval interval;
};
// Of the same truth's units, raw or unified labels.
enum class Labels : unsigned char { raw, unified };
Comparison compare(const WorkflowReport& now, const WorkflowReport& before, Labels labels);

// Where numbers come from, for the JSON.
struct Provenance {
  const io::ResultsTable* results = nullptr;
  const io::ResultsTable* compared = nullptr;
  const LabelMap* labels = nullptr;
  const Truth* truth = nullptr;
  Columns columns;
};
struct Compared {
  Comparison raw, unified;
};
std::string to_json(const WorkflowReport& report, const std::optional<Compared>& compared, const Provenance& from);
// For a terminal; ends with the line "Accuracy unifying: 0.9731 (k/n)", of `headline`.
std::string to_text(const WorkflowReport& report, const std::optional<Compared>& compared, const LabelReport& headline);
// Writes units.csv, confusion_{raw,unified}.csv, the same row-normalised and as heat maps (.svg),
// per_class_{raw,unified}.csv, coverage.csv.
void write_csv(const WorkflowReport& report, const std::filesystem::path& folder);

}  // namespace aid::train::workflow
