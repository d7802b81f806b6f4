// Work sharing of the element-by-element ops: threads take contiguous runs of elements; operands without gaps between
// rows are one long row.
#pragma once

#include "kernels/core/stream.h"
#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {

// Calls f(row, begin, end) for runs of columns that cover rows x cols; with `one_row`, row 0 has all elements.
template <class F>
void for_element_runs(Stream& s, const Span& shape, bool one_row, const F& f) {
  if (one_row) {
    s.team().ranges(shape.rows * shape.cols, 1024, [&](int64_t begin, int64_t end) { f(0, begin, end); });
  } else {
    s.team().ranges(shape.rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) f(row, 0, shape.cols);
    });
  }
}

[[gnu::always_inline]] inline bool without_gaps(const CSpan& a) { return a.stride == a.cols || a.rows <= 1; }

}  // namespace aid::AID_TARGET
