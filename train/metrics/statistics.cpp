#include "train/metrics/statistics.h"

#include <algorithm>
#include <cmath>

namespace aid::train {
namespace {

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }
double ratio(int64_t part, int64_t whole) { return ratio(static_cast<double>(part), static_cast<double>(whole)); }

// Sums of a square confusion matrix that correlations are made of.
struct Marginals {
  double right = 0, total = 0, product = 0, truth_squared = 0, verdict_squared = 0;

  Marginals(std::span<const int64_t> confusion, size_t classes) {
    for (size_t k = 0; k < classes; ++k) {
      double truth = 0, verdict = 0;
      for (size_t other = 0; other < classes; ++other) {
        truth += static_cast<double>(confusion[k * classes + other]);
        verdict += static_cast<double>(confusion[other * classes + k]);
      }
      right += static_cast<double>(confusion[k * classes + k]);
      total += truth;
      product += truth * verdict;
      truth_squared += truth * truth;
      verdict_squared += verdict * verdict;
    }
  }
};

}  // namespace

PrecisionRecall precision_recall(int64_t right, int64_t called, int64_t support) {
  // f1 of the counts, not of the two ratios: that is how scikit-learn rounds it.
  return {.precision = ratio(right, called), .recall = ratio(right, support), .f1 = ratio(2 * right, called + support)};
}

Interval wilson_interval(int64_t right, int64_t total) {
  if (total == 0) return {0, 1};
  constexpr double z = 1.959963984540054;  // 97.5 % quantile of the standard normal distribution
  const double n = static_cast<double>(total), p = static_cast<double>(right) / n;
  const double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {.low = std::max(0.0, centre - half), .high = std::min(1.0, centre + half)};
}

double mcnemar_exact(int64_t only_a, int64_t only_b) {
  const int64_t n = only_a + only_b;
  const double log_scale = -static_cast<double>(n) * std::log(2.0);
  double sum = 0, log_choose = 0;
  for (int64_t i = 0; i <= std::min(only_a, only_b); ++i) {
    if (i > 0) log_choose += std::log(static_cast<double>(n - i + 1) / static_cast<double>(i));
    sum += std::exp(log_choose + log_scale);
  }
  return std::min(1.0, 2 * sum);
}

Interval paired_difference_interval(const PairedCounts& counts) {
  const double a = static_cast<double>(counts.both), b = static_cast<double>(counts.only_new);
  const double c = static_cast<double>(counts.only_old), d = static_cast<double>(counts.neither);
  const double n = a + b + c + d;
  if (n == 0) return {-1, 1};
  const double p1 = (a + b) / n, p2 = (a + c) / n;
  const Interval one =
      wilson_interval(counts.both + counts.only_new, counts.both + counts.only_new + counts.only_old + counts.neither);
  const Interval two =
      wilson_interval(counts.both + counts.only_old, counts.both + counts.only_new + counts.only_old + counts.neither);
  double covariance = a * d - b * c;
  if (covariance > 0) covariance = std::max(covariance - n / 2, 0.0);
  const double scale = std::sqrt((a + b) * (c + d) * (a + c) * (b + d));
  const double phi = scale > 0 ? covariance / scale : 0;
  const auto distance = [&](double x, double y) { return std::sqrt(std::max(0.0, x * x - 2 * phi * x * y + y * y)); };
  return {.low = p1 - p2 - distance(p1 - one.low, two.high - p2),
          .high = p1 - p2 + distance(one.high - p1, p2 - two.low)};
}

double ReliabilityBin::gap() const {
  return count == 0 ? 0 : std::abs(static_cast<double>(right) - confidence_sum) / static_cast<double>(count);
}

Calibration calibration_of(std::span<const Claim> claims) {
  constexpr int kBins = Calibration::kBins;
  Calibration result;
  for (int i = 0; i < kBins; ++i) {
    result.bins[static_cast<size_t>(i)].low = static_cast<double>(i) / kBins;
    result.bins[static_cast<size_t>(i)].high = static_cast<double>(i + 1) / kBins;
  }
  for (const Claim& claim : claims) {
    const int bin = std::clamp(static_cast<int>(std::ceil(claim.confidence * kBins)) - 1, 0, kBins - 1);
    ReliabilityBin& into = result.bins[static_cast<size_t>(bin)];
    ++into.count;
    into.right += claim.right ? 1 : 0;
    into.confidence_sum += claim.confidence;
  }
  const double n = static_cast<double>(claims.size());
  for (const ReliabilityBin& bin : result.bins) {
    result.expected_error += ratio(std::abs(static_cast<double>(bin.right) - bin.confidence_sum), n);
    result.greatest_error = std::max(result.greatest_error, bin.gap());
  }
  std::vector<Claim> sorted(claims.begin(), claims.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Claim& a, const Claim& b) { return a.confidence < b.confidence; });
  for (size_t bin = 0; bin < kBins; ++bin) {
    double gap = 0;
    for (size_t i = bin * sorted.size() / kBins; i < (bin + 1) * sorted.size() / kBins; ++i)
      gap += (sorted[i].right ? 1 : 0) - sorted[i].confidence;
    result.adaptive_error += ratio(std::abs(gap), n);
  }
  return result;
}

std::vector<CoveragePoint> coverage_curve(std::span<const Claim> claims) {
  std::vector<Claim> sorted(claims.begin(), claims.end());
  std::sort(sorted.begin(), sorted.end(), [](const Claim& a, const Claim& b) { return a.confidence > b.confidence; });
  std::vector<CoveragePoint> curve;
  CoveragePoint point;
  for (size_t i = 0; i < sorted.size(); ++i) {
    ++point.accepted;
    point.right += sorted[i].right ? 1 : 0;
    point.threshold = sorted[i].confidence;
    if (i + 1 == sorted.size() || sorted[i + 1].confidence != point.threshold) curve.push_back(point);
  }
  return curve;
}

std::optional<CoveragePoint> threshold_for(std::span<const CoveragePoint> curve, double accuracy) {
  std::optional<CoveragePoint> found;
  for (const CoveragePoint& point : curve)
    if (static_cast<double>(point.right) >= accuracy * static_cast<double>(point.accepted)) found = point;
  return found;
}

double matthews_correlation(std::span<const int64_t> confusion, size_t classes) {
  const Marginals m(confusion, classes);
  const double scale = std::sqrt((m.total * m.total - m.verdict_squared) * (m.total * m.total - m.truth_squared));
  return scale > 0 ? (m.right * m.total - m.product) / scale : 0;
}

double cohen_kappa(std::span<const int64_t> confusion, size_t classes) {
  const Marginals m(confusion, classes);
  const double chance = m.total * m.total - m.product;
  // Where everything is one class, agreement is complete and no chance is left to correct for.
  return chance > 0 ? (m.right * m.total - m.product) / chance : 1;
}

}  // namespace aid::train
