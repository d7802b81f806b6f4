// Picks rows out of a matrix, and puts their gradients back:
//   gather_rows   y[i] = x[index[i]]
//   scatter_rows  y = 0 everywhere, then y[index[i]] = x[i]; no index twice
#pragma once

#include "kernels/core/stream.h"

namespace aid {

struct GatherRows {
  Span y;       // [indices, cols]
  CSpan x;      // [rows, cols], same dtype; rows may be strided
  CSpan index;  // i32 [indices]
};
void gather_rows(Stream& s, const GatherRows& a);

struct ScatterRows {
  Span y;       // [rows, cols]
  CSpan x;      // [indices, cols], same dtype
  CSpan index;  // i32 [indices]
};
void scatter_rows(Stream& s, const ScatterRows& a);

}  // namespace aid
