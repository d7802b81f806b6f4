// What attention's forward and backward share: where one (sequence, head) lies in the operands, and in scratch memory.
#pragma once

#include "kernels/core/philox.h"
#include "kernels/cpu/tile_product.h"
#if defined(__AMX_BF16__)
#include "kernels/cpu/amx_product.h"
#endif

namespace aid::AID_TARGET {

// What a task holds while it multiplies.
#if defined(__AMX_BF16__)
using ProductScope = AmxScope;
#else
struct ProductScope {};
#endif

constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Hands out pieces of the scratch memory; over a null pointer it only counts them.
class Pieces {
 public:
  explicit Pieces(void* memory) : memory_(static_cast<std::byte*>(memory)) {}
  template <class T>
  T* take(int64_t n) {
    std::byte* piece = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ += static_cast<size_t>(round_up(n * static_cast<int64_t>(sizeof(T)), 64));
    return reinterpret_cast<T*>(piece);
  }
  size_t used() const { return used_; }

 private:
  std::byte* memory_;
  size_t used_ = 0;
};

// The larger of what Scratch<Unit> takes for f32 and for bf16.
template <template <class> class Scratch, class Shape>
size_t scratch_bytes_of(const Shape& shape) {
  Pieces floats(nullptr), pairs(nullptr);
  Scratch<float>(floats, shape);
  Scratch<UnitOf<bf16>>(pairs, shape);
  return floats.used() > pairs.used() ? floats.used() : pairs.used();
}

// Floats from one row of a block of scores to the next: more than the keys, so that rows do not share cache sets.
inline int64_t score_stride(int64_t keys) { return round_up(keys, kLanes) + kLanes; }

// The tokens of a sequence.
struct Range {
  int64_t begin, size;
};
inline Range range_of(const CSpan& cumulative, int64_t sequence) {
  const auto* first = static_cast<const int32_t*>(cumulative.data);
  return {first[sequence], first[sequence + 1] - first[sequence]};
}

// The columns of one head in a matrix of tokens.
template <class T>
struct Head {
  T* data;
  int64_t stride, head_dim;

  Rows<T> rows(int64_t token, int64_t count) const { return {data + token * stride, stride, count, head_dim}; }
};
template <class T, class Matrix>
auto head_of(const Matrix& x, int64_t heads, int64_t head) {
  const int64_t head_dim = x.cols / heads;
  auto* first = row_of<T>(x, 0) + head * head_dim;
  return Head<std::remove_pointer_t<decltype(first)>>{first, x.stride, head_dim};
}

inline Dropout of_head(Dropout dropout, int64_t head) {
  dropout.site = dropout.site << 8 | static_cast<uint32_t>(head);
  return dropout;
}

// y[i] = factor(i) * x[i], for rows of f32 that lie `stride` apart.
template <class T, class F>
void write_rows(const Rows<T>& y, const float* x, int64_t stride, const F& factor) {
  for (int64_t i = 0; i < y.rows; ++i) {
    const float f = factor(i);
    for_vectors(
        y.cols, [&](int64_t j, auto n) __attribute__((always_inline)) {
          store_n(load(x + i * stride + j) * f, y.data + i * y.stride + j, n);
        });
  }
}

// A vector of probabilities, or of their gradients, as an operand whose summed dimension are the keys.
[[gnu::always_inline]] inline void store_probabilities(Vec p, float* row, int64_t key) { store(p, row + key); }
#if defined(__AVX512BF16__)
[[gnu::always_inline]] inline void store_probabilities(Vec p, Bf16Pair* row, int64_t key) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + key / 2), (__m256i)_mm512_cvtneps_pbh(native(p)));
}
#endif

}  // namespace aid::AID_TARGET
