// Runs of rows, each reduced to one row: a text's logits are the mean of its windows', a document's vector what its
// tokens' vectors give together. For segment t, the n_t = first[t+1] - first[t] rows from first[t] on:
//   sum          y[t,k] = sum_r x[r,k]               dx[r,k] = dy[t,k]
//   mean         y[t,k] = sum_r x[r,k] / n_t         dx[r,k] = dy[t,k] / n_t
//   max          y[t,k] = x[m,k], m = which[t,k]     dx[m,k] = dy[t,k], the others 0; of equal rows the first
//   first, last  y[t]   = x[first[t]], x[first[t+1] - 1]     dx of that row = dy[t], of the others 0
// A segment without rows gives zeros. Sums in f64, in the order of the rows.
#pragma once

#include "kernels/core/stream.h"

namespace aid {

enum class Reduction : uint8_t { sum, mean, max, first, last };

struct SegmentReduceForward {
  Span y;       // f32 [segments, cols]
  Span which;   // i32 [segments, cols], saved for max's backward (-1: no row); else empty
  CSpan x;      // f32 [rows, cols]
  CSpan first;  // i32 [segments + 1]: 0, ..., rows
  Reduction reduction = Reduction::sum;
};
void segment_reduce_forward(Stream& s, const SegmentReduceForward& a);

struct SegmentReduceBackward {
  Span dx;      // f32 [rows, cols]
  CSpan dy;     // f32 [segments, cols]
  CSpan which;  // i32 [segments, cols], of max
  CSpan first;  // i32 [segments + 1]
  Reduction reduction = Reduction::sum;
};
void segment_reduce_backward(Stream& s, const SegmentReduceBackward& a);

}  // namespace aid
