// Sums over the rows of a matrix, in a fixed order.
#pragma once

#include "kernels/core/stream.h"

namespace aid::cuda {

// first[c] += sum_r x[r, c] for the columns of `first`, and second likewise for those that follow it in x; second may
// be empty. x: f32, bf16 or f16. Both f32.
struct ColumnSums {
  Span first, second;
  CSpan x;
};
void add_column_sums(Stream& s, const ColumnSums& a);

}  // namespace aid::cuda
