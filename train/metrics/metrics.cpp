#include "train/metrics/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/core/check.h"

namespace aid::train {
namespace {

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

void add(PrecisionRecall& sum, const PrecisionRecall& term, double weight) {
  sum.precision += weight * term.precision;
  sum.recall += weight * term.recall;
  sum.f1 += weight * term.f1;
}

void fill_class_metrics(Metrics& metrics) {
  const size_t classes = metrics.labels.size();
  size_t occurring = 0;
  int64_t all_right = 0;
  for (size_t k = 0; k < classes; ++k) {
    int64_t called = 0, support = 0;
    for (size_t other = 0; other < classes; ++other) {
      called += metrics.confused(other, k);
      support += metrics.confused(k, other);
    }
    const int64_t right = metrics.confused(k, k);
    all_right += right;
    metrics.support.push_back(support);
    metrics.classes.push_back(precision_recall(right, called, support));
    if (called + support == 0) continue;
    ++occurring;
    add(metrics.macro, metrics.classes.back(), 1);
    add(metrics.weighted, metrics.classes.back(),
        ratio(static_cast<double>(support), static_cast<double>(metrics.texts)));
  }
  PrecisionRecall mean;
  add(mean, metrics.macro, 1.0 / static_cast<double>(occurring));
  metrics.macro = mean;
  metrics.micro = precision_recall(all_right, metrics.texts, metrics.texts);
  metrics.accuracy = metrics.micro.recall;
}

}  // namespace

int32_t verdict_of(std::span<const float> probabilities) {
  return static_cast<int32_t>(std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin());
}

Metrics compute_metrics(const Verdicts& verdicts) {
  const size_t classes = verdicts.labels.size(), texts = verdicts.truth.size();
  AID_CHECK(texts > 0 && classes > 0 && verdicts.probabilities.size() == texts * classes, "metrics: ", texts,
            " texts, ", classes, " classes, ", verdicts.probabilities.size(), " probabilities");
  Metrics metrics;
  metrics.labels.assign(verdicts.labels.begin(), verdicts.labels.end());
  metrics.texts = static_cast<int64_t>(texts);
  metrics.confusion.assign(classes * classes, 0);

  std::vector<Claim> claims;
  constexpr double eps = std::numeric_limits<float>::epsilon();
  double loss = 0;
  for (size_t i = 0; i < texts; ++i) {
    const auto p = verdicts.probabilities.subspan(i * classes, classes);
    const int32_t truth = verdicts.truth[i], verdict = verdict_of(p);
    AID_CHECK(truth >= 0 && truth < static_cast<int64_t>(classes), "metrics: text ", i, " has class ", truth, " of ",
              classes);
    ++metrics.confusion[static_cast<size_t>(truth) * classes + static_cast<size_t>(verdict)];
    loss -= std::log(std::clamp<double>(p[static_cast<size_t>(truth)], eps, 1 - eps));
    claims.push_back({.confidence = p[static_cast<size_t>(verdict)], .right = truth == verdict});
  }
  metrics.log_loss = loss / static_cast<double>(texts);
  metrics.calibration_error = calibration_of(claims).expected_error;
  fill_class_metrics(metrics);
  const Interval interval = wilson_interval(std::llround(metrics.accuracy * static_cast<double>(texts)), metrics.texts);
  metrics.accuracy_low = interval.low;
  metrics.accuracy_high = interval.high;
  return metrics;
}

}  // namespace aid::train
