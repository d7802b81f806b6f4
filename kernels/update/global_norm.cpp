#include "kernels/update/global_norm.h"

#include <algorithm>
#include <vector>

#include "kernels/core/operands.h"
#include "kernels/update/norm_chunk.h"

namespace aid {

using GlobalNormFn = void(Stream&, Span norm, std::span<const NormChunk> chunks);
namespace cpu_avx2 {
GlobalNormFn global_norm;
}
namespace cpu_avx512 {
GlobalNormFn global_norm;
}
namespace cpu_avx512_bf16 {
GlobalNormFn global_norm;
}
namespace cuda {
GlobalNormFn global_norm;
}

void global_norm(Stream& s, const GlobalNorm& a) {
  constexpr const char* kOp = "global_norm";
  check_operand(kOp, "norm", a.norm, 1, 1, DType::f32);
  std::vector<NormChunk> chunks;
  int64_t total = 0;
  for (const CSpan& x : a.vectors) {
    check_operand(kOp, "vector", x, x.rows, x.cols, DType::f32);
    AID_CHECK(x.contiguous(), kOp, ": a vector has gaps between its rows");
    for (int64_t begin = 0; begin < x.size(); begin += kNormChunk) {
      chunks.push_back({x.as<float>() + begin, std::min(kNormChunk, x.size() - begin)});
    }
    total += x.size();
  }
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = total * 4, .flops = 2 * total});
  select(s, cpu_avx2::global_norm, cpu_avx512::global_norm, cpu_avx512_bf16::global_norm, AID_CUDA_KERNEL(global_norm))(
      s, a.norm, chunks);
}

}  // namespace aid
