// Weighted, smoothed cross-entropy as the equation stands in kernels/rows/cross_entropy.h; its gradient by the chain
// rule through log_softmax.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace aid::reference {

template <class Real>
struct CrossEntropy {
  Real loss = 0;
  std::vector<Real> probabilities, dlogits;
};

template <class Real>
CrossEntropy<Real> cross_entropy(const std::vector<Real>& logits, const std::vector<int32_t>& labels,
                                 const std::vector<Real>& weights, Real smoothing, Real total_weight, Real scale) {
  const size_t classes = weights.size(), rows = logits.size() / classes;
  Real total = total_weight;
  if (total == 0) {
    for (const int32_t label : labels) total += weights[static_cast<size_t>(label)];
  }
  CrossEntropy<Real> out = {0, logits, logits};
  for (size_t r = 0; r < rows; ++r) {
    const Real* row = logits.data() + r * classes;
    const auto target = static_cast<size_t>(labels[r]);
    const Real largest = *std::max_element(row, row + classes);
    Real sum = 0;
    for (size_t k = 0; k < classes; ++k) sum += std::exp(row[k] - largest);
    std::vector<Real> dlog_p(classes);  // d loss / d log p_k
    for (size_t k = 0; k < classes; ++k) {
      const Real log_p = row[k] - largest - std::log(sum);
      dlog_p[k] = -smoothing / (static_cast<Real>(classes) * total) * weights[k];
      if (k == target) dlog_p[k] -= (1 - smoothing) / total * weights[k];
      out.loss += dlog_p[k] * log_p;
      out.probabilities[r * classes + k] = std::exp(row[k] - largest) / sum;
    }
    Real sum_d = 0;
    for (const Real d : dlog_p) sum_d += d;
    for (size_t k = 0; k < classes; ++k) {
      out.dlogits[r * classes + k] = scale * (dlog_p[k] - out.probabilities[r * classes + k] * sum_d);
    }
  }
  return out;
}

}  // namespace aid::reference
