// Softmax and its gradient, naive. Equations: kernels/rows/softmax.h.
#pragma once

#include <cmath>
#include <vector>

namespace aid::reference {

template <class Real>
std::vector<Real> softmax(std::vector<Real> x, int64_t cols) {
  for (size_t row = 0; row < x.size(); row += static_cast<size_t>(cols)) {
    Real total = 0;
    for (size_t k = row; k < row + static_cast<size_t>(cols); ++k) total += x[k] = std::exp(x[k]);
    for (size_t k = row; k < row + static_cast<size_t>(cols); ++k) x[k] /= total;
  }
  return x;
}

template <class Real>
std::vector<Real> softmax_backward(const std::vector<Real>& dy, const std::vector<Real>& y, int64_t cols) {
  std::vector<Real> dx(y.size());
  for (size_t row = 0; row < y.size(); row += static_cast<size_t>(cols)) {
    Real dot = 0;
    for (size_t k = row; k < row + static_cast<size_t>(cols); ++k) dot += dy[k] * y[k];
    for (size_t k = row; k < row + static_cast<size_t>(cols); ++k) dx[k] = y[k] * (dy[k] - dot);
  }
  return dx;
}

}  // namespace aid::reference
