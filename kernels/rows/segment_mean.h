// The mean over runs of rows: a text's logits are the mean of its windows'. For segment t, rows first[t] to
// first[t+1]-1:
//   forward   y[t,k]  = sum_r x[r,k] / n_t,   n_t = first[t+1] - first[t] > 0
//   backward  dx[r,k] = dy[t,k] / n_t
// Sums in f64, in the order of the rows.
#pragma once

#include "kernels/core/stream.h"

namespace aid {

struct SegmentMeanForward {
  Span y;       // f32 [segments, cols]
  CSpan x;      // f32 [rows, cols]
  CSpan first;  // i32 [segments + 1]: 0, ..., rows
};
void segment_mean_forward(Stream& s, const SegmentMeanForward& a);

struct SegmentMeanBackward {
  Span dx;      // f32 [rows, cols]
  CSpan dy;     // f32 [segments, cols]
  CSpan first;  // i32 [segments + 1]
};
void segment_mean_backward(Stream& s, const SegmentMeanBackward& a);

}  // namespace aid
