// The gradient of probabilities that are not a loss's but another layer's input. With y = softmax(x) of each row
// (cross_entropy.h makes it):
//   dx[r,k] = y[r,k] (dy[r,k] - sum_j dy[r,j] y[r,j])
#pragma once

#include "kernels/core/stream.h"

namespace aid {

struct SoftmaxBackward {
  Span dx;   // f32 [rows, cols]; may be dy's memory
  CSpan dy;  // f32 [rows, cols]; rows may be strided
  CSpan y;   // f32 [rows, cols]
};
void softmax_backward(Stream& s, const SoftmaxBackward& a);

}  // namespace aid
