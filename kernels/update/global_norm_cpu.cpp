// Threads take chunks, each read once. Four f32 accumulators of a vector each: at most 2^14 elements are spread over
// them, so an accumulator adds few hundred values.
#include "kernels/update/global_norm.h"

#include "kernels/cpu/simd.h"
#include "kernels/update/norm_chunk.h"

namespace aid::AID_TARGET {
namespace {

[[gnu::flatten]] float sum_of_squares(const NormChunk& chunk) {
  return sum_vectors(chunk.size, [&](int64_t i, auto n) {
    const Vec v = load_n(chunk.x + i, n);
    return v * v;
  });
}

}  // namespace

void global_norm(Stream& s, Span norm, std::span<const NormChunk> chunks) {
  const auto count = static_cast<int64_t>(chunks.size());
  const NormChunk* const chunk = chunks.data();
  const Arena::Mark mark = s.arena().mark();
  float* const sums = static_cast<float*>(s.arena().take(DType::f32, count).data);
  s.team().ranges(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sums[i] = sum_of_squares(chunk[i]);
  });
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(sums[i]);
  *row_of<float>(norm, 0) = static_cast<float>(__builtin_sqrt(sum));
  s.arena().rewind(mark);
}

}  // namespace aid::AID_TARGET
