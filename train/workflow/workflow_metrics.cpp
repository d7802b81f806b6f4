#include "train/workflow/workflow_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "io/error.h"

namespace aid::train::workflow {
namespace {

double ratio(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

size_t index_of(const std::vector<std::string>& labels, const std::string& label) {
  return static_cast<size_t>(std::lower_bound(labels.begin(), labels.end(), label) - labels.begin());
}

double macro_f1(const std::vector<int64_t>& right, const std::vector<int64_t>& called,
                const std::vector<int64_t>& support) {
  double sum = 0;
  int64_t occurring = 0;
  for (size_t k = 0; k < right.size(); ++k) {
    if (called[k] + support[k] == 0) continue;
    sum += precision_recall(right[k], called[k], support[k]).f1;
    ++occurring;
  }
  return occurring > 0 ? sum / static_cast<double>(occurring) : 0;
}

// Percentile bootstrap of macro-F1: `groups` are resampled as wholes, since pages of one document are not independent.
Interval bootstrap_macro_f1(const std::vector<Judged>& judged, const std::vector<std::vector<size_t>>& groups,
                            const std::vector<std::string>& labels, const WorkflowOptions& options) {
  struct Pair {
    size_t truth, predicted;
  };
  std::vector<Pair> pairs;
  pairs.reserve(judged.size());
  for (const Judged& one : judged)
    pairs.push_back(
        {index_of(labels, one.truth), one.predicted.empty() ? labels.size() : index_of(labels, one.predicted)});
  std::mt19937_64 random(options.seed);
  std::vector<double> values;
  std::vector<int64_t> right(labels.size()), called(labels.size() + 1), support(labels.size());
  for (int replicate = 0; replicate < options.bootstrap; ++replicate) {
    std::fill(right.begin(), right.end(), 0);
    std::fill(called.begin(), called.end(), 0);
    std::fill(support.begin(), support.end(), 0);
    for (size_t i = 0; i < groups.size(); ++i) {
      // The same numbers with every standard library, which std::uniform_int_distribution's are not.
      const auto group = static_cast<size_t>((random() >> 32) * groups.size() >> 32);
      for (const size_t unit : groups[group]) {
        const Pair& pair = pairs[unit];
        ++support[pair.truth];
        ++called[pair.predicted];
        right[pair.truth] += pair.truth == pair.predicted ? 1 : 0;
      }
    }
    values.push_back(macro_f1(right, called, support));
  }
  std::sort(values.begin(), values.end());
  // Linear between the neighbours, numpy.percentile's default.
  const auto percentile = [&](double fraction) {
    const double at = fraction * static_cast<double>(values.size() - 1);
    const auto low = static_cast<size_t>(at);
    const size_t high = std::min(low + 1, values.size() - 1);
    return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
  };
  return {.low = percentile(0.025), .high = percentile(0.975)};
}

struct View {
  const std::string& truth;
  const std::string& predicted;
  const std::optional<double>& score;
  const std::map<std::string, double>& scores;
};
View view_of(const Unit& unit, Labels labels) {
  if (labels == Labels::raw) return {unit.truth, unit.predicted, unit.score, unit.scores};
  return {unit.unified_truth, unit.unified_predicted, unit.unified_score, unit.unified_scores};
}

std::optional<ScoreReport> report_scores(const std::vector<Unit>& units, Labels labels) {
  ScoreReport report;
  std::vector<Claim> claims;
  std::vector<int64_t> ranks;
  constexpr double eps = std::numeric_limits<double>::epsilon();
  size_t most_labels = 0;
  for (const Unit& unit : units) {
    const View view = view_of(unit, labels);
    if (!view.predicted.empty() && view.score)
      claims.push_back({.confidence = *view.score, .right = view.predicted == view.truth});
    if (view.scores.size() < 2) continue;
    ++report.full_units;
    most_labels = std::max(most_labels, view.scores.size());
    const auto own = view.scores.find(view.truth);
    const double truth = own == view.scores.end() ? 0 : own->second;
    int64_t rank = own == view.scores.end() ? static_cast<int64_t>(view.scores.size()) + 1 : 0;
    double squares = own == view.scores.end() ? 1 : 0;
    for (const auto& [label, p] : view.scores) {
      const bool is_truth = own != view.scores.end() && label == own->first;
      squares += is_truth ? (p - 1) * (p - 1) : p * p;
      rank += p >= truth ? 1 : 0;
    }
    ranks.push_back(rank);
    report.brier += squares;
    report.log_loss -= std::log(std::clamp(truth, eps, 1 - eps));
  }
  report.units = static_cast<int64_t>(claims.size());
  if (claims.empty() && ranks.empty()) return std::nullopt;
  report.calibration = calibration_of(claims);
  report.coverage = coverage_curve(claims);
  if (!ranks.empty()) {
    report.brier /= static_cast<double>(ranks.size());
    report.log_loss /= static_cast<double>(ranks.size());
    for (int64_t k = 1; k <= static_cast<int64_t>(std::min<size_t>(most_labels, 5)); ++k) {
      const auto among = std::count_if(ranks.begin(), ranks.end(), [&](int64_t rank) { return rank <= k; });
      report.top_k.push_back(ratio(among, static_cast<int64_t>(ranks.size())));
    }
  }
  return report;
}

std::vector<Unit> units_of(const Truth& truth, const Predictions& predictions, const LabelMap& labels,
                           const PageMap& pages) {
  std::vector<Unit> units;
  for (const TruthUnit& expected : truth.units) {
    Unit unit{.key = expected.key, .file = expected.file, .truth = expected.label};
    const auto own = labels.unified_of_key.find(unit.key);
    unit.unified_truth = own == labels.unified_of_key.end() ? labels.unified_label(unit.truth) : own->second;
    // A document may be called like a unit of its own: their names are kept apart.
    const auto page = pages.find(unit.key);
    unit.document = page == pages.end() ? "\x01" + unit.key : page->second.document;
    unit.page = page == pages.end() ? 0 : page->second.number;
    const auto found = predictions.of_key.find(unit.key);
    if (found != predictions.of_key.end()) {
      const Prediction& prediction = found->second;
      for (const auto& [label, score] : prediction.scores) unit.unified_scores[labels.unified_label(label)] += score;
      unit.scores = prediction.scores;
      unit.predicted = prediction.label;
      if (!unit.predicted.empty()) {
        unit.unified_predicted =
            unit.predicted == unit.truth ? unit.unified_truth : labels.unified_label(unit.predicted);
        unit.score = prediction.score;
        const auto summed = unit.unified_scores.find(unit.unified_predicted);
        unit.unified_score = summed == unit.unified_scores.end() ? unit.score : std::optional(summed->second);
      }
    }
    units.push_back(std::move(unit));
  }
  return units;
}

using Documents = std::map<std::string, std::vector<size_t>>;  // units, sorted by page

Documents documents_of(const std::vector<Unit>& units) {
  Documents documents;
  for (size_t i = 0; i < units.size(); ++i) documents[units[i].document].push_back(i);
  for (auto& [name, members] : documents)
    std::stable_sort(members.begin(), members.end(), [&](size_t a, size_t b) { return units[a].page < units[b].page; });
  return documents;
}

LabelReport judge_documents(const std::vector<Unit>& units, const Documents& documents, Labels labels, Aggregate how) {
  std::vector<Judged> judged;
  for (const auto& [name, members] : documents) {
    std::vector<PageVerdict> pages;
    for (const size_t i : members) {
      const View view = view_of(units[i], labels);
      pages.push_back({.page = units[i].page, .label = view.predicted, .score = view.score, .scores = view.scores});
    }
    const std::string& truth = view_of(units[members[0]], labels).truth;
    judged.push_back({.truth = truth, .predicted = aggregate(pages, how, truth)});
  }
  return judge(judged);
}

std::vector<Confusion> confusions_of(const std::vector<Unit>& units) {
  constexpr size_t kExamples = 5;
  std::map<std::pair<std::string, std::string>, Confusion> found;
  std::map<std::string, int64_t> support;
  for (const Unit& unit : units) {
    ++support[unit.truth];
    if (unit.predicted == unit.truth) continue;
    Confusion& confusion = found[{unit.truth, unit.predicted}];
    confusion.truth = unit.truth;
    confusion.predicted = unit.predicted;
    confusion.kind = unit.predicted.empty()                         ? Confusion::Kind::missing
                     : unit.unified_predicted == unit.unified_truth ? Confusion::Kind::harmless
                                                                    : Confusion::Kind::real;
    ++confusion.count;
    if (confusion.examples.size() < kExamples) confusion.examples.push_back(unit.file.filename().string());
  }
  std::vector<Confusion> confusions;
  for (auto& [labels, confusion] : found) {
    confusion.share = ratio(confusion.count, support[confusion.truth]);
    confusions.push_back(std::move(confusion));
  }
  std::stable_sort(confusions.begin(), confusions.end(),
                   [](const Confusion& a, const Confusion& b) { return a.count > b.count; });
  return confusions;
}

LabelReport judge_files(const std::vector<Unit>& units, const Documents& documents, Labels labels,
                        const WorkflowOptions& options) {
  std::vector<Judged> judged;
  for (const Unit& unit : units) {
    const View view = view_of(unit, labels);
    judged.push_back({.truth = view.truth, .predicted = view.predicted});
  }
  LabelReport report = judge(judged);
  report.scores = report_scores(units, labels);
  if (options.bootstrap > 0) {
    std::vector<std::vector<size_t>> groups;
    for (const auto& [name, members] : documents) groups.push_back(members);
    report.macro_f1_interval = bootstrap_macro_f1(judged, groups, report.labels, options);
  }
  return report;
}

}  // namespace

LabelReport judge(const std::vector<Judged>& judged) {
  LabelReport report;
  std::set<std::string> names;
  for (const Judged& one : judged) {
    names.insert(one.truth);
    if (!one.predicted.empty()) names.insert(one.predicted);
  }
  report.labels.assign(names.begin(), names.end());
  const size_t classes = report.labels.size();
  report.confusion.assign(classes * (classes + 1), 0);
  for (const Judged& one : judged) {
    const size_t truth = index_of(report.labels, one.truth);
    const size_t predicted = one.predicted.empty() ? classes : index_of(report.labels, one.predicted);
    ++report.confusion[truth * (classes + 1) + predicted];
    report.matched += predicted < classes ? 1 : 0;
    report.right += truth == predicted ? 1 : 0;
  }
  report.total = static_cast<int64_t>(judged.size());
  report.accuracy = ratio(report.right, report.total);
  report.accuracy_covered = ratio(report.right, report.matched);
  report.interval = wilson_interval(report.right, report.total);
  report.covered_interval = wilson_interval(report.right, report.matched);

  int64_t true_classes = 0;
  std::vector<int64_t> square((classes + 1) * (classes + 1), 0);  // "no prediction" as a class for the correlations
  std::copy(report.confusion.begin(), report.confusion.end(), square.begin());
  for (size_t k = 0; k < classes; ++k) {
    int64_t called = 0, support = report.unpredicted(k);
    for (size_t other = 0; other < classes; ++other) {
      called += report.confused(other, k);
      support += report.confused(k, other);
    }
    const PrecisionRecall value = precision_recall(report.confused(k, k), called, support);
    report.classes.push_back(value);
    report.support.push_back(support);
    const double weight = ratio(support, report.total), share = 1.0 / static_cast<double>(classes);
    report.macro.precision += share * value.precision;
    report.macro.recall += share * value.recall;
    report.macro.f1 += share * value.f1;
    report.weighted.precision += weight * value.precision;
    report.weighted.recall += weight * value.recall;
    report.weighted.f1 += weight * value.f1;
    if (support > 0) {
      report.balanced_accuracy += value.recall;
      ++true_classes;
    }
  }
  if (true_classes > 0) report.balanced_accuracy /= static_cast<double>(true_classes);
  report.matthews = matthews_correlation(square, classes + 1);
  report.kappa = cohen_kappa(square, classes + 1);
  return report;
}

WorkflowReport measure_workflow(const Truth& truth, const Predictions& predictions, const LabelMap& labels,
                                const PageMap& pages, const WorkflowOptions& options) {
  WorkflowReport report;
  report.units = units_of(truth, predictions, labels, pages);
  const Documents documents = documents_of(report.units);
  report.grouped = documents.size() < report.units.size();
  for (const auto& [name, members] : documents) {
    std::set<std::string> raw, unified;
    for (const size_t i : members) {
      raw.insert(report.units[i].truth);
      unified.insert(report.units[i].unified_truth);
    }
    report.mixed_documents += raw.size() > 1 ? 1 : 0;
    if (unified.size() > 1) {
      throw io::Error("the document '" + name + "' holds files of two typologies, " + *unified.begin() + " and " +
                      *unified.rbegin() + " (" + report.units[members[0]].file.string() +
                      "...); correct the truth or how documents are told apart");
    }
  }
  report.file_raw = judge_files(report.units, documents, Labels::raw, options);
  report.file_unified = judge_files(report.units, documents, Labels::unified, options);
  report.document_unified = judge_documents(report.units, documents, Labels::unified, options.aggregate);
  if (report.mixed_documents == 0)
    report.document_raw = judge_documents(report.units, documents, Labels::raw, options.aggregate);
  report.confusions = confusions_of(report.units);

  for (const Unit& unit : report.units)
    if (unit.predicted.empty()) report.missing.push_back(unit.key);
  for (const auto& [key, prediction] : predictions.of_key)
    if (!truth.find(key) && !truth.ignored_keys.contains(key)) report.extra.push_back(key);
  report.duplicates = predictions.duplicates;
  for (const Duplicate& duplicate : report.duplicates)
    report.duplicate_rows += static_cast<int64_t>(duplicate.labels.size()) - 1;
  std::set<std::string> occurring;
  for (const auto& [key, label] : truth.ignored_keys) occurring.insert(label);
  for (const Unit& unit : report.units) occurring.insert({unit.truth, unit.predicted});
  for (const auto& [raw, unified] : labels.unified)
    if (!occurring.contains(raw)) report.unused_labels.push_back(raw);
  report.rows = predictions.rows;
  report.rows_without_id = predictions.without_id;
  report.ignored = truth.ignored;
  report.same_key = truth.same_key;
  return report;
}

Comparison compare(const WorkflowReport& now, const WorkflowReport& before, Labels labels) {
  Comparison comparison;
  for (size_t i = 0; i < now.units.size(); ++i) {
    const View a = view_of(now.units[i], labels), b = view_of(before.units[i], labels);
    const bool now_right = a.predicted == a.truth, old_right = b.predicted == b.truth;
    int64_t& count = now_right ? (old_right ? comparison.counts.both : comparison.counts.only_new)
                               : (old_right ? comparison.counts.only_old : comparison.counts.neither);
    ++count;
  }
  const PairedCounts& counts = comparison.counts;
  comparison.difference = ratio(counts.only_new - counts.only_old, static_cast<int64_t>(now.units.size()));
  comparison.p_value = mcnemar_exact(counts.only_new, counts.only_old);
  comparison.interval = paired_difference_interval(counts);
  return comparison;
}

}  // namespace aid::train::workflow
