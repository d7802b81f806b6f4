#include "kernels/update/global_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/core/operands.h"

namespace aid {

using SumOfSquaresFn = double(const float* x, int64_t size);
namespace cpu_avx2 {
SumOfSquaresFn sum_of_squares;
}
namespace cpu_avx512 {
SumOfSquaresFn sum_of_squares;
}
namespace cpu_avx512_bf16 {
SumOfSquaresFn sum_of_squares;
}

double global_norm(Stream& s, std::span<const CSpan> vectors) {
  constexpr const char* kOp = "global_norm";
  constexpr int64_t kChunk = 1 << 14;
  struct Chunk {
    const float* x;
    int64_t size;
    double sum;
  };
  std::vector<Chunk> chunks;
  int64_t total = 0;
  for (const CSpan& x : vectors) {
    check_operand(kOp, "vector", x, x.rows, x.cols, DType::f32);
    AID_CHECK(x.contiguous(), kOp, ": a vector has gaps between its rows");
    for (int64_t begin = 0; begin < x.size(); begin += kChunk) {
      chunks.push_back({x.as<float>() + begin, std::min(kChunk, x.size() - begin), 0});
    }
    total += x.size();
  }
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = total * 4, .flops = 2 * total});
  const auto sum_of_squares =
      select(s, cpu_avx2::sum_of_squares, cpu_avx512::sum_of_squares, cpu_avx512_bf16::sum_of_squares);
  s.team().ranges(static_cast<int64_t>(chunks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Chunk& chunk = chunks[static_cast<size_t>(i)];
      chunk.sum = sum_of_squares(chunk.x, chunk.size);
    }
  });
  double sum = 0;
  for (const Chunk& chunk : chunks) sum += chunk.sum;
  return std::sqrt(sum);
}

}  // namespace aid
