// Layer normalisation, forward and backward, as the equations stand in kernels/rows/residual_layer_norm.h.
#pragma once

#include <cmath>
#include <vector>

#include "tests/reference/dropout.h"

namespace aid::reference {

template <class Real>
struct LayerNorm {
  std::vector<Real> y, mean, rstd;
};

template <class Real>
LayerNorm<Real> layer_norm(const std::vector<Real>& z, const std::vector<Real>& gamma, const std::vector<Real>& beta,
                           Real eps) {
  const size_t cols = gamma.size(), rows = z.size() / cols;
  LayerNorm<Real> out = {z, std::vector<Real>(rows), std::vector<Real>(rows)};
  for (size_t r = 0; r < rows; ++r) {
    const Real* row = z.data() + r * cols;
    Real sum = 0, squares = 0;
    for (size_t c = 0; c < cols; ++c) sum += row[c];
    const Real mean = sum / static_cast<Real>(cols);
    for (size_t c = 0; c < cols; ++c) squares += (row[c] - mean) * (row[c] - mean);
    const Real rstd = 1 / std::sqrt(squares / static_cast<Real>(cols) + eps);
    for (size_t c = 0; c < cols; ++c) out.y[r * cols + c] = gamma[c] * (row[c] - mean) * rstd + beta[c];
    out.mean[r] = mean;
    out.rstd[r] = rstd;
  }
  return out;
}

template <class Real>
struct LayerNormGradient {
  std::vector<Real> dz, dgamma, dbeta;
};

// dgamma and dbeta continue from the given values.
template <class Real>
LayerNormGradient<Real> layer_norm_backward(const std::vector<Real>& dy, const std::vector<Real>& z,
                                            const std::vector<Real>& mean, const std::vector<Real>& rstd,
                                            const std::vector<Real>& gamma, std::vector<Real> dgamma,
                                            std::vector<Real> dbeta) {
  const size_t cols = gamma.size(), rows = z.size() / cols;
  LayerNormGradient<Real> out = {z, std::move(dgamma), std::move(dbeta)};
  for (size_t r = 0; r < rows; ++r) {
    Real sum_g = 0, sum_g_xhat = 0;
    for (size_t c = 0; c < cols; ++c) {
      const Real d = dy[r * cols + c], xhat = (z[r * cols + c] - mean[r]) * rstd[r];
      out.dgamma[c] += d * xhat;
      out.dbeta[c] += d;
      sum_g += d * gamma[c];
      sum_g_xhat += d * gamma[c] * xhat;
    }
    for (size_t c = 0; c < cols; ++c) {
      const Real xhat = (z[r * cols + c] - mean[r]) * rstd[r], n = static_cast<Real>(cols);
      out.dz[r * cols + c] = rstd[r] * (dy[r * cols + c] * gamma[c] - sum_g / n - xhat * (sum_g_xhat / n));
    }
  }
  return out;
}

}  // namespace aid::reference
