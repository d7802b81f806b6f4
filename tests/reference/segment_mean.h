// The mean over runs of rows, naive. Equations: kernels/rows/segment_mean.h.
#pragma once

#include <cstdint>
#include <vector>

namespace aid::reference {

template <class Real>
std::vector<Real> segment_mean(const std::vector<Real>& x, const std::vector<int32_t>& first, int64_t cols) {
  std::vector<Real> y;
  for (size_t t = 0; t + 1 < first.size(); ++t) {
    for (int64_t k = 0; k < cols; ++k) {
      Real sum = 0;
      for (int32_t r = first[t]; r < first[t + 1]; ++r) sum += x[static_cast<size_t>(r * cols + k)];
      y.push_back(sum / static_cast<Real>(first[t + 1] - first[t]));
    }
  }
  return y;
}

template <class Real>
std::vector<Real> segment_mean_backward(const std::vector<Real>& dy, const std::vector<int32_t>& first, int64_t cols) {
  std::vector<Real> dx;
  for (size_t t = 0; t + 1 < first.size(); ++t) {
    for (int32_t r = first[t]; r < first[t + 1]; ++r) {
      for (int64_t k = 0; k < cols; ++k) {
        dx.push_back(dy[t * static_cast<size_t>(cols) + static_cast<size_t>(k)] /
                     static_cast<Real>(first[t + 1] - first[t]));
      }
    }
  }
  return dx;
}

}  // namespace aid::reference
