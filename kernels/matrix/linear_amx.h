// bf16 matrix products on AMX tiles, for linear.cpp. Ours and not oneDNN's: its AMX kernels sum a row in an order that
// depends on how many rows and threads there are (seen with oneDNN 2.6 and sums over more than 2,000 products).
#pragma once

#include "kernels/core/stream.h"

namespace aid::gemm {

// c[m,n] = sum_k a[m,k] b[k,n] + bias[n]   (or +=)
// Every sum runs over k in ascending order in f32, pair by pair as TDPBF16PS takes them, and is rounded once: the bits
// of a row of c depend on that row of a only. Denormals count as zero, as the instruction has it.
struct AmxProduct {
  enum class Into : uint8_t { replace, add };
  Span c;      // [m, n], bf16 or f32; rows may be strided
  CSpan a;     // [m, k], bf16; rows may be strided
  CSpan b;     // linear_pack.h's panels of [k, n], bf16, 32 columns wide
  CSpan bias;  // f32 [n], or empty
  Into into = Into::replace;
};

}  // namespace aid::gemm

namespace aid::cpu_amx {
void multiply(Stream& s, const gemm::AmxProduct& p);
}
