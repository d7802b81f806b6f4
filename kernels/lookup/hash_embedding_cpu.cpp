// Equations: hash_embedding.h. A thread takes a contiguous range of tokens.
#include "kernels/lookup/hash_embedding.h"

#include "kernels/cpu/simd.h"
#include "kernels/lookup/bloom_hash.h"

namespace aid::AID_TARGET {
namespace {

[[gnu::flatten]] void look_up(const HashEmbeddingForward& a, int64_t begin, int64_t end) {
  const int64_t* ids = row_of<int64_t>(a.ids, 0);
  const float* scale = a.scale.empty() ? nullptr : row_of<float>(a.scale, 0);
  const auto rows = static_cast<uint32_t>(a.table.rows);
  for (int64_t token = begin; token < end; ++token) {
    const BloomHash hash = bloom_hash(static_cast<uint64_t>(ids[token]), a.seed);
    const float* row[kBloomHashes];
    for (int k = 0; k < kBloomHashes; ++k) row[k] = row_of<float>(a.table, hash.of[k] % rows);
    float* y = row_of<float>(a.y, token);
    for_vectors(a.y.cols, [&](int64_t c, auto n) {
      Vec sum = load_n(row[0] + c, n);
      for (int k = 1; k < kBloomHashes; ++k) sum += load_n(row[k] + c, n);
      store_n(scale != nullptr ? sum * load_n(scale + c, n) : sum, y + c, n);
    });
  }
}

}  // namespace

void hash_embedding_forward(Stream& s, const HashEmbeddingForward& a) {
  s.team().ranges(a.y.rows, 1, [&](int64_t begin, int64_t end) { look_up(a, begin, end); });
}

}  // namespace aid::AID_TARGET
