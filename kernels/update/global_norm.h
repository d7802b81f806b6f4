// The L2 norm over several vectors, as torch.nn.utils.clip_grad_norm_ takes it before clipping:
//   norm = sqrt(sum_t sum_i x_t[i]²)
// Summed in fixed chunks (f32 within a chunk's lanes, f64 across chunks): the same bits for any number of threads.
#pragma once

#include <span>

#include "kernels/core/stream.h"

namespace aid {

struct GlobalNorm {
  Span norm;                       // f32 [1]
  std::span<const CSpan> vectors;  // f32, contiguous
};
void global_norm(Stream& s, const GlobalNorm& a);

}  // namespace aid
