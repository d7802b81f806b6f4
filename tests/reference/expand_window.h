// Each row between its neighbours, naive. Equations: kernels/rows/expand_window.h.
#pragma once

#include <cstdint>
#include <vector>

namespace aid::reference {

// Calls f(at_y, at_x) for every element of y that is one of x.
template <class F>
void for_window_elements(int64_t rows, int64_t cols, int64_t window, const F& f) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j <= 2 * window; ++j) {
      const int64_t from = i + j - window;
      if (from < 0 || from >= rows) continue;
      for (int64_t c = 0; c < cols; ++c) {
        f(static_cast<size_t>((i * (2 * window + 1) + j) * cols + c), static_cast<size_t>(from * cols + c));
      }
    }
  }
}

template <class Real>
std::vector<Real> expand_window(const std::vector<Real>& x, int64_t rows, int64_t window) {
  std::vector<Real> y(x.size() * static_cast<size_t>(2 * window + 1), 0);
  for_window_elements(rows, static_cast<int64_t>(x.size()) / rows, window,
                      [&](size_t at_y, size_t at_x) { y[at_y] = x[at_x]; });
  return y;
}

// Continues from the given dx.
template <class Real>
std::vector<Real> expand_window_backward(std::vector<Real> dx, const std::vector<Real>& dy, int64_t rows,
                                         int64_t window) {
  for_window_elements(rows, static_cast<int64_t>(dx.size()) / rows, window,
                      [&](size_t at_y, size_t at_x) { dx[at_x] += dy[at_y]; });
  return dx;
}

}  // namespace aid::reference
