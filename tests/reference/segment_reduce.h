// Runs of rows reduced to one row each, naive. Equations: kernels/rows/segment_reduce.h.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/rows/segment_reduce.h"

namespace aid::reference {

template <class Real>
struct SegmentReduce {
  std::vector<Real> y;
  std::vector<int32_t> which;  // of the maximum
};

template <class Real>
SegmentReduce<Real> segment_reduce(const std::vector<Real>& x, const std::vector<int32_t>& first, int64_t cols,
                                   Reduction reduction) {
  SegmentReduce<Real> out;
  for (size_t t = 0; t + 1 < first.size(); ++t) {
    for (int64_t k = 0; k < cols; ++k) {
      const auto at = [&](int32_t row) { return x[static_cast<size_t>(row * cols + k)]; };
      Real sum = 0;
      int32_t largest = first[t] < first[t + 1] ? first[t] : -1;
      for (int32_t r = first[t]; r < first[t + 1]; ++r) {
        sum += at(r);
        if (at(r) > at(largest)) largest = r;
      }
      out.which.push_back(largest);
      if (largest == -1) {
        out.y.push_back(0);
      } else if (reduction == Reduction::max) {
        out.y.push_back(at(largest));
      } else if (reduction == Reduction::first || reduction == Reduction::last) {
        out.y.push_back(at(reduction == Reduction::first ? first[t] : first[t + 1] - 1));
      } else {
        out.y.push_back(reduction == Reduction::mean ? sum / static_cast<Real>(first[t + 1] - first[t]) : sum);
      }
    }
  }
  return out;
}

template <class Real>
std::vector<Real> segment_reduce_backward(const std::vector<Real>& dy, const std::vector<int32_t>& which,
                                          const std::vector<int32_t>& first, int64_t cols, Reduction reduction) {
  std::vector<Real> dx;
  for (size_t t = 0; t + 1 < first.size(); ++t) {
    for (int32_t r = first[t]; r < first[t + 1]; ++r) {
      for (int64_t k = 0; k < cols; ++k) {
        const size_t at = t * static_cast<size_t>(cols) + static_cast<size_t>(k);
        const bool gets = reduction == Reduction::max     ? which[at] == r
                          : reduction == Reduction::first ? r == first[t]
                          : reduction == Reduction::last  ? r == first[t + 1] - 1
                                                          : true;
        const Real share = reduction == Reduction::mean ? dy[at] / static_cast<Real>(first[t + 1] - first[t]) : dy[at];
        dx.push_back(gets ? share : 0);
      }
    }
  }
  return dx;
}

}  // namespace aid::reference
