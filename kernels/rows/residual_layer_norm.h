// Residual connection, dropout and layer normalisation (Ba et al. 2016, arXiv:1607.06450) in one pass over the row:
//   z = x + drop(delta),  mean = sum_c z_c / C,  var = sum_c (z_c - mean)^2 / C,  rstd = 1 / sqrt(var + eps)
//   y = gamma * (z - mean) * rstd + beta
// Backward, with xhat = (z - mean) rstd and g = (dy + dy2) gamma:
//   dz = rstd (g - mean_c(g) - xhat mean_c(g xhat)),  dx = dz,  ddelta = drop'(dz)
//   dgamma += sum_r (dy + dy2) xhat,  dbeta += sum_r (dy + dy2)
// Statistics in f32, variance in two passes: one pass loses all digits where |mean| is much above the deviation.
// Sums over rows have a fixed order that does not depend on threads.
#pragma once

#include "kernels/core/philox.h"
#include "kernels/core/stream.h"

namespace aid {

struct ResidualLayerNormForward {
  Span y;             // [rows, cols], f32, bf16, on a GPU f16
  Span z;             // [rows, cols], saved for backward, may be delta's memory; empty in inference
  Span mean, rstd;    // f32 [rows], saved for backward; empty in inference
  CSpan x;            // [rows, cols], residual; empty: plain layer normalisation of delta
  CSpan delta;        // [rows, cols]
  CSpan gamma, beta;  // f32 [cols]
  float eps = 0;
  Dropout dropout;
  CSpan row_ids;  // i32 [rows], needed with dropout
};
void residual_layer_norm_forward(Stream& s, const ResidualLayerNormForward& a);

struct ResidualLayerNormBackward {
  Span dx;             // [rows, cols], gradient of z; may be dy's memory
  Span ddelta;         // [rows, cols]; empty where dropout is off: it equals dx then
  Span dgamma, dbeta;  // f32 [cols], +=
  CSpan dy;            // [rows, cols]
  CSpan dy2;           // [rows, cols], added to dy (the residual path's gradient); may be empty
  CSpan z, mean, rstd, gamma;
  Dropout dropout;
  CSpan row_ids;
};
void residual_layer_norm_backward(Stream& s, const ResidualLayerNormBackward& a);

}  // namespace aid
