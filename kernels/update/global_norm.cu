// A block sums a chunk's squares, read once in vectors of 16 bytes where the chunk allows it; one block adds the
// chunks' sums, as doubles, in a fixed order. Neither waits for the host.
#include "kernels/update/global_norm.h"

#include "kernels/device/reduce.cuh"
#include "kernels/device/vector.cuh"
#include "kernels/update/norm_chunk.h"

namespace aid::cuda {
namespace {

constexpr int kBlock = 256;

__global__ void __launch_bounds__(kBlock) sum_of_squares_kernel(const NormChunk* chunks, float* sums) {
  __shared__ float partial[kBlock / kWarp];
  const NormChunk chunk = chunks[blockIdx.x];
  const int64_t vectors = reinterpret_cast<uintptr_t>(chunk.x) % 16 == 0 ? chunk.size / 4 : 0;
  float total = 0;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < vectors; i += kBlock) {
    float x[4];
    load(chunk.x + 4 * i, x);
#pragma unroll
    for (const float value : x) total += value * value;
  }
  for (int64_t i = 4 * vectors + threadIdx.x; i < chunk.size; i += kBlock) total += chunk.x[i] * chunk.x[i];
  total = block_sum<kBlock>(total, partial);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

__global__ void __launch_bounds__(kBlock) norm_kernel(float* norm, const float* sums, int64_t count) {
  __shared__ double partial[kBlock / kWarp];
  double total = 0;
  for (int64_t i = threadIdx.x; i < count; i += kBlock) total += static_cast<double>(sums[i]);
  total = block_sum<kBlock>(total, partial);
  if (threadIdx.x == 0) *norm = static_cast<float>(sqrt(total));
}

}  // namespace

void global_norm(Stream& s, Span norm, std::span<const NormChunk> chunks) {
  const Scratch scratch(s);
  const auto count = static_cast<int64_t>(chunks.size());
  float* const sums = static_cast<float*>(s.arena().take(DType::f32, count).data);
  launch(s, sum_of_squares_kernel, {.grid = static_cast<unsigned>(count), .block = kBlock},
         kept_table(s, "global_norm", chunks), sums);
  launch(s, norm_kernel, {.grid = 1, .block = kBlock}, static_cast<float*>(norm.data), sums, count);
}

}  // namespace aid::cuda
