// Copies into the layouts in which products read their operands without a copy of their own:
//   panels   B [k, n] as [n/w][k/(16 p)][16][w][p], padded with zeros: w = 64 for oneDNN's AVX-512 products (BA16a64b
//   for
//            f32, BA16a64b2a for bf16), 32 for linear_amx.h's;
//            p = 2 neighbouring elements of k for bf16, that the instruction wants in one 32-bit word; p = 1 for f32
//   rows     A [m, k], contiguous
// Every element is read once from memory: the gradient's column sums are taken while its rows are in the core's own
// cache.
#pragma once

#include "kernels/core/stream.h"

namespace aid::gemm {

enum class Panel : uint8_t { columns_64, columns_32 };
constexpr int64_t columns_of(Panel panel) { return panel == Panel::columns_64 ? 64 : 32; }
inline constexpr int64_t kKBlock = 32;  // k is padded to a multiple of this by pack_outer

enum class Order : uint8_t { as_given, transposed };

struct PackWeights {
  Span panels;               // f32 or bf16: of W [out, in] as given, or of Wᵀ [in, out]
  const float* const* rows;  // the rows of W
  int64_t out, in;
  Order order;
  Panel panel = Panel::columns_64;
};
void pack_weights(Stream& s, const PackWeights& a);

// The operands of dW = dyᵀ x over up to a thousand rows, f32 or bf16.
struct PackOuter {
  Span a;       // dyᵀ [out, k], k = rows rounded up to kKBlock
  Span b;       // panels of x [k, in]
  Span sums;    // as ColumnSums; or empty
  CSpan dy, x;  // same dtype
  Panel panel = Panel::columns_64;
};
void pack_outer(Stream& s, const PackOuter& a);

// sums[o] += sum_r dy[r,o], row by row: whatever the number of threads, the same bits.
struct ColumnSums {
  Span sums;  // f32 [out]
  CSpan dy;   // [rows, out], f32 or bf16
};
void add_column_sums(Stream& s, const ColumnSums& a);

}  // namespace aid::gemm
