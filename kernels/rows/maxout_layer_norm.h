// What follows the product in a layer of spaCy's encoder, in one pass over the row: maxout (Goodfellow et al. 2013,
// arXiv:1302.4389), layer normalisation, dropout and the residual connection:
//   m[r,o] = max_p z[r, o P + p],   mean, rstd of m's row as in residual_layer_norm.h
//   y = x + drop(gamma * (m - mean) * rstd + beta)
// Backward, with d = drop'(dy), xhat = (m - mean) rstd and g = d gamma:
//   dm = rstd (g - mean_c(g) - xhat mean_c(g xhat)),  dgamma += sum_r d xhat,  dbeta += sum_r d
//   dz[r, o P + p] = dm[r,o] where z[r, o P + p] is the first of its P values to be m[r,o], else 0
// The gradient of x is dy itself. Without gamma and beta nothing is normalised: y = x + drop(m), dm = d.
// m is never stored: backward finds it in z again. Sums over rows have a fixed order that does not depend on threads.
#pragma once

#include "kernels/core/philox.h"
#include "kernels/core/stream.h"

namespace aid {

inline constexpr int64_t kMostPieces = 16;

struct MaxoutLayerNormForward {
  Span y;             // f32 [rows, cols]; may be x's memory
  Span mean, rstd;    // f32 [rows], saved for backward; empty in inference and without gamma
  CSpan x;            // f32 [rows, cols], residual; empty: none
  CSpan z;            // f32 [rows, cols * pieces]
  CSpan gamma, beta;  // f32 [cols]; both empty: no normalisation
  int64_t pieces = 1;
  float eps = 0;
  Dropout dropout;
  CSpan row_ids;  // i32 [rows], needed with dropout
};
void maxout_layer_norm_forward(Stream& s, const MaxoutLayerNormForward& a);

struct MaxoutLayerNormBackward {
  Span dz;             // f32 [rows, cols * pieces]; may be z's memory
  Span dgamma, dbeta;  // f32 [cols], +=
  CSpan dy;            // f32 [rows, cols]
  CSpan z, mean, rstd, gamma;
  int64_t pieces = 1;
  Dropout dropout;
  CSpan row_ids;
};
void maxout_layer_norm_backward(Stream& s, const MaxoutLayerNormBackward& a);

}  // namespace aid
