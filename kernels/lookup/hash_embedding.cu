// Equations: hash_embedding.h. A warp takes a token, in vectors of 16 bytes where rows allow it. Every lane computes
// the token's hash: one that did and told the others would have them wait as long.
#include "kernels/lookup/hash_embedding.h"

#include "kernels/device/launch.cuh"
#include "kernels/device/vector.cuh"
#include "kernels/lookup/bloom_hash.h"

namespace aid::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kWide = 4;

template <int kWidth>
__global__ void __launch_bounds__(kWarps* kWarp) hash_embedding_forward_kernel(HashEmbeddingForward a) {
  const int64_t token = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (token >= a.y.rows) return;
  const BloomHash hash = bloom_hash(static_cast<uint64_t>(row_of<int64_t>(a.ids, 0)[token]), a.seed);
  const float* row[kBloomHashes];
#pragma unroll
  for (int k = 0; k < kBloomHashes; ++k) {
    row[k] = row_of<float>(a.table, hash.of[k] % static_cast<uint32_t>(a.table.rows));
  }
  for (int64_t column = threadIdx.x % kWarp * kWidth; column < a.y.cols; column += kWarp * kWidth) {
    float part[kBloomHashes][kWidth], sum[kWidth];
#pragma unroll
    for (int k = 0; k < kBloomHashes; ++k) load(row[k] + column, part[k]);  // all under way before the first is added
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      sum[i] = part[0][i];
#pragma unroll
      for (int k = 1; k < kBloomHashes; ++k) sum[i] += part[k][i];
    }
    if (a.scale.data != nullptr) {
      float scale[kWidth];
      load(row_of<float>(a.scale, 0) + column, scale);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) sum[i] *= scale[i];
    }
    store(sum, row_of<float>(a.y, token) + column);
  }
}

}  // namespace

void hash_embedding_forward(Stream& s, const HashEmbeddingForward& a) {
  const bool wide = a.y.cols % kWide == 0 && vectors_fit(kWide, a.y, a.table, a.scale);
  launch(s, wide ? hash_embedding_forward_kernel<kWide> : hash_embedding_forward_kernel<1>,
         {.grid = blocks_for(a.y.rows, kWarps), .block = kWarps * kWarp}, a);
}

}  // namespace aid::cuda
