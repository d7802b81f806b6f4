// How good a classifier's verdicts are. The numbers equal scikit-learn's with its defaults and zero_division=0:
// precision_recall_fscore_support, accuracy_score, log_loss, confusion_matrix. With c[t][p] the number of texts of
// class t called p:
//   precision_k = c[k][k] / sum_t c[t][k]    recall_k = c[k][k] / sum_p c[k][p]    f1 = 2 p r / (p + r)    (0 / 0 = 0)
// Averages run over the classes that occur among truth or verdicts, as scikit-learn's do; micro is accuracy for one
// label a text. The verdict is the most probable class, the first of equals.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/metrics/statistics.h"

namespace aid::train {

struct Metrics {
  std::vector<std::string> labels;
  int64_t texts = 0;
  std::vector<int64_t> confusion;  // [classes, classes], rows are the truth
  double accuracy = 0;
  // Wilson's score interval of the accuracy at 95 % (Wilson 1927, JASA 22:209).
  double accuracy_low = 0, accuracy_high = 0;
  std::vector<PrecisionRecall> classes;
  std::vector<int64_t> support;  // texts of each class
  PrecisionRecall macro, micro, weighted;
  double log_loss = 0;  // mean of -ln p[truth], p clipped to [eps, 1 - eps] with f32's eps
  // Expected calibration error (Guo et al. 2017, arXiv:1706.04599): over 15 equal bins of the verdict's probability,
  // (i/15, (i+1)/15], the mean of |accuracy - mean probability| weighted by the bin's texts.
  double calibration_error = 0;

  int64_t confused(size_t truth, size_t verdict) const { return confusion[truth * labels.size() + verdict]; }
};

struct Verdicts {
  std::span<const std::string> labels;
  std::span<const int32_t> truth;        // [texts]
  std::span<const float> probabilities;  // [texts, classes]
};
// Throws std::invalid_argument for sizes that do not fit and for no texts at all.
Metrics compute_metrics(const Verdicts& verdicts);

// The class of the greatest probability, the first of equals.
int32_t verdict_of(std::span<const float> probabilities);

// For a terminal: a line per class, averages, accuracy with its interval, and the confusion matrix.
std::string to_table(const Metrics& metrics);
std::string to_json(const Metrics& metrics);

}  // namespace aid::train
