// Each row between its neighbours (thinc's seq2col): with window w and C columns, for j = 0, ..., 2w
//   forward   y[i, jC + c] = x[i + j - w, c]                            zeros where that is no row of x
//   backward  dx[i, c]     = dy2[i, c] + sum_j dy[i - j + w, jC + c]    over the j where that is a row of dy, ascending
// There are no segments: what keeps a text's neighbours out of its windows is w rows of zeros in x between two texts.
#pragma once

#include "kernels/core/stream.h"

namespace aid {

struct ExpandWindowForward {
  Span y;   // f32 [rows, (2 window + 1) cols]
  CSpan x;  // f32 [rows, cols]
  int64_t window = 1;
};
void expand_window_forward(Stream& s, const ExpandWindowForward& a);

struct ExpandWindowBackward {
  Span dx;    // f32 [rows, cols]
  CSpan dy;   // f32 [rows, (2 window + 1) cols]
  CSpan dy2;  // f32 [rows, cols], added (the residual path's gradient); may be dx's memory; may be empty
  int64_t window = 1;
};
void expand_window_backward(Stream& s, const ExpandWindowBackward& a);

}  // namespace aid
