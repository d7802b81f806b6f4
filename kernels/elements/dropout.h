// Inverted dropout (Srivastava et al. 2014): y = x * keep / (1 - p), keep drawn by kernels/core/philox.h. Its own
// backward: the same call on dy.
#pragma once

#include "kernels/core/philox.h"
#include "kernels/core/stream.h"

namespace aid {

struct DropoutForward {
  Span y;  // [rows, cols], f32, bf16, on a GPU f16; may be x's memory
  CSpan x;
  Dropout dropout;
  CSpan row_ids;  // i32 [rows]
};
void dropout_forward(Stream& s, const DropoutForward& a);

}  // namespace aid
