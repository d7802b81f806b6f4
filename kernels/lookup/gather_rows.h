// Picks rows out of a matrix, and adds their gradients back:
//   gather_rows       y[i] = x[index[i]]
//   scatter_add_rows  y[index[i]] += x[i]
#pragma once

#include "kernels/core/stream.h"

namespace aid {

struct GatherRows {
  Span y;       // [indices, cols]
  CSpan x;      // [rows, cols], same dtype; rows may be strided
  CSpan index;  // i32 [indices]
};
void gather_rows(Stream& s, const GatherRows& a);

struct ScatterAddRows {
  Span y;       // [rows, cols], f32, bf16, on a GPU f16, +=; rows may be strided
  CSpan x;      // [indices, cols], same dtype
  CSpan index;  // i32 [indices], ascending: no row is added to twice
};
void scatter_add_rows(Stream& s, const ScatterAddRows& a);

}  // namespace aid
