// Bloom embeddings, naive: one addition per token and hash. Equations: kernels/lookup/hash_embedding.h.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/lookup/bloom_hash.h"

namespace aid::reference {

struct Bloom {
  std::vector<uint64_t> ids;
  uint32_t seed;
  int64_t rows, cols;

  // Calls f(at_y, at_table) for every element of every token's four rows.
  template <class F>
  void for_elements(const F& f) const {
    const auto width = static_cast<size_t>(cols);
    for (size_t token = 0; token < ids.size(); ++token) {
      for (const uint32_t hash : bloom_hash(ids[token], seed).of) {
        const size_t row = hash % static_cast<uint64_t>(rows);
        for (size_t c = 0; c < width; ++c) f(token * width + c, row * width + c);
      }
    }
  }
};

// scale: by columns.
template <class Real>
std::vector<Real> hash_embedding(const Bloom& bloom, const std::vector<Real>& table, const std::vector<Real>& scale) {
  std::vector<Real> y(bloom.ids.size() * scale.size());
  bloom.for_elements([&](size_t at_y, size_t at_table) { y[at_y] += table[at_table]; });
  for (size_t i = 0; i < y.size(); ++i) y[i] *= scale[i % scale.size()];
  return y;
}

// Continues from the given dtable.
template <class Real>
std::vector<Real> hash_embedding_backward(const Bloom& bloom, std::vector<Real> dtable, const std::vector<Real>& dy,
                                          const std::vector<Real>& scale) {
  bloom.for_elements(
      [&](size_t at_y, size_t at_table) { dtable[at_table] += dy[at_y] * scale[at_table % scale.size()]; });
  return dtable;
}

}  // namespace aid::reference
