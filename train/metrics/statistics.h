// Statistics of right and wrong answers that more than one kind of evaluation needs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace aid::train {

struct Interval {
  double low = 0, high = 0;
};

struct PrecisionRecall {
  double precision = 0, recall = 0, f1 = 0;
};
// Of a class with `right` of `called` verdicts and of `support` truths. 0 / 0 = 0, as scikit-learn's zero_division=0.
PrecisionRecall precision_recall(int64_t right, int64_t called, int64_t support);

// Wilson's score interval of right / total at 95 % (Wilson 1927, JASA 22:209). [0, 1] for a total of 0.
Interval wilson_interval(int64_t right, int64_t total);

// McNemar's exact test of two runs over the same units: the two-sided binomial p-value of the units that only the one
// (only_a) or only the other (only_b) got right, under the hypothesis that either is as likely. 1 for no such unit.
double mcnemar_exact(int64_t only_a, int64_t only_b);

struct PairedCounts {
  int64_t both = 0, only_new = 0, only_old = 0, neither = 0;
};
// 95 % interval of the difference new - old of two accuracies over the same units: Newcombe's hybrid of Wilson
// intervals with the corrected correlation (1998, Statistics in Medicine 17:2635, method 10).
Interval paired_difference_interval(const PairedCounts& counts);

// One answer with the probability that was claimed for it.
struct Claim {
  double confidence = 0;
  bool right = false;
};

struct ReliabilityBin {
  double low = 0, high = 0;  // (low, high] of the confidence
  int64_t count = 0, right = 0;
  double confidence_sum = 0;

  double gap() const;  // |accuracy - mean confidence|, 0 where it is empty
};
struct Calibration {
  static constexpr int kBins = 15;
  std::array<ReliabilityBin, kBins> bins;
  double expected_error = 0;  // Guo et al. 2017, arXiv:1706.04599: mean of the bins' gaps, weighted by their counts
  double greatest_error = 0;  // the greatest gap of a bin that is not empty
  double adaptive_error = 0;  // as expected_error, over 15 bins of equal counts (Nixon et al. 2019, arXiv:1904.01685)
};
Calibration calibration_of(std::span<const Claim> claims);

// What remains automatic where only answers with at least this confidence are taken, and how right those are.
struct CoveragePoint {
  double threshold = 0;
  int64_t accepted = 0, right = 0;
};
// One point per confidence that occurs, from the highest threshold to the lowest.
std::vector<CoveragePoint> coverage_curve(std::span<const Claim> claims);
// The lowest threshold at which the accepted answers are at least this accurate; none where there is none.
std::optional<CoveragePoint> threshold_for(std::span<const CoveragePoint> curve, double accuracy);

// [rows, columns] of counts, rows are the truth; rows = columns = classes.
double matthews_correlation(std::span<const int64_t> confusion, size_t classes);
double cohen_kappa(std::span<const int64_t> confusion, size_t classes);

}  // namespace aid::train
