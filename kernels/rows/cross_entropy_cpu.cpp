// Equations: cross_entropy.h. A thread takes a contiguous range of rows; a row of logits is short (as many as there are
// classes), so its passes (maximum, sum of exponentials, results) read it from the first-level cache.
//   d loss / d logit_k = ((1 - eps) w_t (p_k - [k = t]) + eps / K (p_k sum_j w_j - w_k)) / W
#include "kernels/rows/cross_entropy.h"

#include <cmath>

#include "kernels/cpu/math.h"

namespace aid::AID_TARGET {
namespace {

// Scalars of one row's loss and gradient.
struct RowTerms {
  float target_weight;   // (1 - eps) w_t / W
  float smoothing;       // eps / (K W)
  float sum_of_weights;  // sum_k w_k
};

[[gnu::flatten]] void row_results(const CrossEntropy& a, int64_t row, const RowTerms& terms, double* row_loss) {
  const int64_t classes = a.logits.cols;
  const float* logits = row_of<float>(a.logits, row);
  const float* weights = a.class_weights.empty() ? nullptr : row_of<float>(a.class_weights, 0);
  const int64_t label = a.labels.empty() ? -1 : row_of<int32_t>(a.labels, 0)[row];
  Vec largest = -__builtin_inff();
  for_vectors(classes, [&](int64_t k, auto n) {
    largest = stdx::max(largest, fill_from(load_n(logits + k, n), n, -__builtin_inff()));
  });
  const float shift = max(largest);
  const float total =
      sum_vectors(classes, [&](int64_t k, auto n) { return fill_from(exp(load_n(logits + k, n) - shift), n, 0.0f); });
  if (row_loss != nullptr) {
    const double log_total = std::log(static_cast<double>(total));
    *row_loss = terms.target_weight * (log_total - (static_cast<double>(logits[label]) - shift));
    if (terms.smoothing > 0) {
      double weighted = 0;
      for (int64_t k = 0; k < classes; ++k) {
        const double weight = weights == nullptr ? 1.0 : static_cast<double>(weights[k]);
        weighted += weight * (log_total - (static_cast<double>(logits[k]) - shift));
      }
      *row_loss += terms.smoothing * weighted;
    }
  }
  float* const probabilities = a.probabilities.empty() ? nullptr : row_of<float>(a.probabilities, row);
  float* const dlogits = a.dlogits.empty() ? nullptr : row_of<float>(a.dlogits, row);
  const float inverse = 1.0f / total;
  const float per_probability = a.loss_scale * (terms.target_weight + terms.smoothing * terms.sum_of_weights);
  for_vectors(classes, [&](int64_t k, auto n) {
    const Vec p = exp(load_n(logits + k, n) - shift) * inverse;
    if (probabilities != nullptr) store_n(p, probabilities + k, n);
    if (dlogits == nullptr) return;
    const Vec weight = weights == nullptr ? Vec(1.0f) : load_n(weights + k, n);
    store_n(p * per_probability - weight * (a.loss_scale * terms.smoothing), dlogits + k, n);
  });
  if (dlogits != nullptr) dlogits[label] -= a.loss_scale * terms.target_weight;
}

}  // namespace

void cross_entropy(Stream& s, const CrossEntropy& a) {
  const int64_t classes = a.logits.cols;
  const float* weights = a.class_weights.empty() ? nullptr : row_of<float>(a.class_weights, 0);
  float sum_of_weights = static_cast<float>(classes);
  if (weights != nullptr)
    sum_of_weights = sum_vectors(classes, [&](int64_t k, auto n) { return load_n(weights + k, n); });
  const Arena::Mark mark = s.arena().mark();
  double* const row_losses =
      a.loss.empty() ? nullptr : static_cast<double*>(s.arena().take(DType::i64, a.logits.rows).data);
  s.team().ranges(a.logits.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      RowTerms terms = {0, 0, sum_of_weights};
      if (!a.labels.empty() && a.total_weight != 0) {
        const int32_t label = row_of<int32_t>(a.labels, 0)[row];
        terms.target_weight = (1 - a.label_smoothing) * (weights == nullptr ? 1.0f : weights[label]) / a.total_weight;
        terms.smoothing = a.label_smoothing / (static_cast<float>(classes) * a.total_weight);
      }
      row_results(a, row, terms, row_losses == nullptr ? nullptr : row_losses + row);
    }
  });
  if (row_losses != nullptr) {
    double loss = 0;
    for (int64_t row = 0; row < a.logits.rows; ++row) loss += row_losses[row];
    *row_of<float>(a.loss, 0) = static_cast<float>(loss);
  }
  s.arena().rewind(mark);
}

}  // namespace aid::AID_TARGET
