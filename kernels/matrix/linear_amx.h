// Matrix products on AMX tiles, for linear.cpp. Ours and not oneDNN's: its AMX kernels sum a row of bf16 in an order
// that depends on how many rows and threads there are (seen with oneDNN 2.6 and sums over more than 2,000 products),
// and its products of f32 do without the tiles.
#pragma once

#include "kernels/core/stream.h"
#include "kernels/matrix/linear_pack.h"

namespace aid::gemm {

// c[m,n] = sum_k a[m,k] b[k,n] + bias[n]   (or +=)
// Every sum runs over k in ascending order in f32, 32 products at a time: the bits of a row of c depend on that row of
// a only. Denormals count as zero, as TDPBF16PS has it.
//
// f32: each factor is the sum of three bf16, and of the nine products of their parts the six largest are summed, which
// leaves out about half an ulp of each a b at most (kernels/cpu/bf16_parts.h). TDPBF16PS sums 32 products for
// themselves before it adds them to what is there, so that a long sum is rounded about a fifth as often as one by
// multiply-add: its error is the smaller one.
// Infinity and NaN give what they give in IEEE arithmetic, but that infinity times a denormal is NaN. At the ends of
// the range: what is below 2^-126 of a factor, a product or a sum is lost; a sum within 2^-7 of the largest float may
// overflow, and a product above 2^136 may be NaN instead of infinity.
struct AmxProduct {
  enum class Into : uint8_t { replace, add };
  Span c;      // [m, n], of f32 f32, of bf16 bf16 or f32; rows may be strided
  CSpan a;     // [m, k], bf16 or f32; rows may be strided
  CSpan b;     // linear_pack.h's panels of [k, n], in a's dtype, 32 columns wide
  CSpan bias;  // f32 [n], or empty
  Into into = Into::replace;
  Order a_order = Order::as_given;  // f32 may be given as [k, m]
};

}  // namespace aid::gemm

namespace aid::cpu_amx {
void multiply(Stream& s, const gemm::AmxProduct& p);
}
