// One query's attention to the rows of segments, naive. Equations: kernels/rows/parametric_attention.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace aid::reference {

template <class Real>
struct ParametricAttention {
  std::vector<Real> x, keys, query, dy;  // dy only for backward
  std::vector<int32_t> first;

  std::vector<Real> y, weights, e, dx, dkeys, dquery;  // dquery is added to

  void forward() {
    weights.assign(first.back(), 0);
    y.assign((first.size() - 1) * query.size(), 0);
    for_segments([&](int64_t t, int64_t begin, int64_t end) {
      Real total = 0;
      for (int64_t r = begin; r < end; ++r) {
        const Real logit = std::clamp<Real>(dot(keys, r, query, 0), -20, 20);
        total += weights[r] = std::exp(logit);
      }
      for (int64_t r = begin; r < end; ++r) {
        weights[r] /= total;
        for (int64_t c = 0; c < cols(); ++c) y[t * cols() + c] += weights[r] * x[r * cols() + c];
      }
    });
  }

  // From weights.
  void backward() {
    dx.assign(x.size(), 0);
    dkeys.assign(x.size(), 0);
    for_segments([&](int64_t t, int64_t begin, int64_t end) {
      Real mean = 0;
      for (int64_t r = begin; r < end; ++r) {
        e.push_back(dot(x, r, dy, t));
        mean += weights[r] * e[r];
      }
      for (int64_t r = begin; r < end; ++r) {
        const Real dlogit = weights[r] * (e[r] - mean);
        for (int64_t c = 0; c < cols(); ++c) {
          dx[r * cols() + c] = weights[r] * dy[t * cols() + c];
          dkeys[r * cols() + c] = dlogit * query[c];
          dquery[c] += dlogit * keys[r * cols() + c];
        }
      }
    });
  }

 private:
  int64_t cols() const { return static_cast<int64_t>(query.size()); }
  Real dot(const std::vector<Real>& a, int64_t row_a, const std::vector<Real>& b, int64_t row_b) const {
    Real sum = 0;
    for (int64_t c = 0; c < cols(); ++c) sum += a[row_a * cols() + c] * b[row_b * cols() + c];
    return sum;
  }
  template <class F>
  void for_segments(const F& f) const {
    for (size_t t = 0; t + 1 < first.size(); ++t) f(static_cast<int64_t>(t), first[t], first[t + 1]);
  }
};

}  // namespace aid::reference
