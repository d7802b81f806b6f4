// kernels/core/philox.h on vectors, in the target's namespace: the same bits.
#pragma once

#include "kernels/core/philox.h"
#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {

// Drops the elements of one row after another:
//   DropoutMask mask(dropout);  mask.start_row(id);  y = mask.apply(x, column) ...
// It decides about kAtOnce elements at once (8 of each of 16 or 32 Philox blocks) and keeps that until others are asked
// for, so columns are best visited in order. Blocks are computed in 64-bit lanes, because there the product's upper
// half is one shift away from where the next round wants it; what the upper halves of lanes hold is never used.
class DropoutMask {
 public:
  explicit DropoutMask(const Dropout& dropout)
      : scale_(dropout.scale()), threshold_(dropout.threshold()), dropout_(dropout) {}

  [[gnu::always_inline]] void start_row(int32_t row) {
    row_ = static_cast<uint32_t>(row);
    group_ = -1;
  }

  // x * keep / (1 - p) for the kLanes elements from `element`, a multiple of kLanes.
  [[gnu::always_inline]] Vec apply(Vec x, int64_t element) {
    if (element / kAtOnce != group_) compute(element / kAtOnce);
#if defined(__AVX512F__)
    return to_vec(_mm512_maskz_mul_ps(keep_[element % kAtOnce / 16], native(x), _mm512_set1_ps(scale_)));
#else
    const auto* keep = reinterpret_cast<const __m256i*>(keep_ + element % kAtOnce);
    return to_vec(_mm256_and_ps(_mm256_castsi256_ps(_mm256_load_si256(keep)), native(x * scale_)));
#endif
  }

 private:
#if defined(__AVX512F__)
  using Wide = __m512i;
  static constexpr int kBlocks = 8;    // in one register
  static constexpr int kAtOnce = 256;  // four registers of blocks: enough to hide the multiplications' latency
  [[gnu::always_inline]] static Wide broadcast(uint32_t v) { return _mm512_set1_epi64(static_cast<int64_t>(v)); }
  [[gnu::always_inline]] static Wide multiply(Wide a, Wide b) { return _mm512_mul_epu32(a, b); }
  [[gnu::always_inline]] static Wide upper(Wide v) { return _mm512_srli_epi64(v, 32); }
  [[gnu::always_inline]] static Wide xor3(Wide a, Wide b, Wide c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
  [[gnu::always_inline]] static Wide add(Wide a, Wide b) { return _mm512_add_epi64(a, b); }
  [[gnu::always_inline]] static Wide even_lanes() { return _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14); }
  // Word `word` of the 2 kBlocks blocks from `block`, as two numbers: the lower half is number 2 word.
  [[gnu::always_inline]] void decide(Wide even, Wide odd, int word, int block) {
    const __m512i words = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
    const __m512i limit = _mm512_set1_epi32(static_cast<int>(threshold_ << 16));
    __mmask16* keep = keep_ + block / 16 * 8 + 2 * word;
    keep[0] = _mm512_cmpge_epu32_mask(_mm512_slli_epi32(words, 16), limit);
    keep[1] = _mm512_cmpge_epu32_mask(words, limit);
  }
  alignas(32) __mmask16 keep_[kAtOnce / 16];  // a lane for each of 16 elements
#else
  using Wide = __m256i;
  static constexpr int kBlocks = 4;
  static constexpr int kAtOnce = 128;
  [[gnu::always_inline]] static Wide broadcast(uint32_t v) { return _mm256_set1_epi64x(static_cast<int64_t>(v)); }
  [[gnu::always_inline]] static Wide multiply(Wide a, Wide b) { return _mm256_mul_epu32(a, b); }
  [[gnu::always_inline]] static Wide upper(Wide v) { return _mm256_srli_epi64(v, 32); }
  [[gnu::always_inline]] static Wide xor3(Wide a, Wide b, Wide c) {
    return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
  }
  [[gnu::always_inline]] static Wide add(Wide a, Wide b) { return _mm256_add_epi64(a, b); }
  [[gnu::always_inline]] static Wide even_lanes() { return _mm256_setr_epi64x(0, 2, 4, 6); }
  [[gnu::always_inline]] void decide(Wide even, Wide odd, int word, int block) {
    const __m256i words = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
    const __m256i limit = _mm256_set1_epi32(static_cast<int>(threshold_) - 1);
    auto* keep = reinterpret_cast<__m256i*>(keep_ + 2 * word * 16 + block);
    _mm256_store_si256(keep, _mm256_cmpgt_epi32(_mm256_and_si256(words, _mm256_set1_epi32(0xffff)), limit));
    _mm256_store_si256(keep + 2, _mm256_cmpgt_epi32(_mm256_srli_epi32(words, 16), limit));
  }
  alignas(32) uint32_t keep_[kAtOnce];  // all bits set: keep
#endif
  static constexpr int kParts = kAtOnce / 8 / kBlocks;

  // Part 2 i + j holds blocks 2 kBlocks i + j, + 2, + 4 ...: even and odd blocks interleave into a vector of words.
  [[gnu::noinline]] void compute(int64_t group) {
    group_ = group;
    Wide counter[kParts][4];
    for (int part = 0; part < kParts; ++part) {
      const auto first = static_cast<uint32_t>(group * (kAtOnce / 8) + part / 2 * 2 * kBlocks + part % 2);
      counter[part][0] = add(broadcast(first), even_lanes());
      counter[part][1] = broadcast(row_);
      counter[part][2] = broadcast(dropout_.site);
      counter[part][3] = broadcast(dropout_.step);
    }
    const Wide multiplier0 = broadcast(philox::kMultiplier0), multiplier1 = broadcast(philox::kMultiplier1);
    Wide key0 = broadcast(static_cast<uint32_t>(dropout_.seed));
    Wide key1 = broadcast(static_cast<uint32_t>(dropout_.seed >> 32));
#pragma GCC unroll 10
    for (int round = 0; round < philox::kRounds; ++round) {
#pragma GCC unroll 4
      for (auto& c : counter) {
        const Wide product0 = multiply(c[0], multiplier0), product1 = multiply(c[2], multiplier1);
        c[0] = xor3(upper(product1), c[1], key0);
        c[1] = product1;
        c[2] = xor3(upper(product0), c[3], key1);
        c[3] = product0;
      }
      key0 = add(key0, broadcast(philox::kWeyl0));
      key1 = add(key1, broadcast(philox::kWeyl1));
    }
    for (int word = 0; word < 4; ++word) {
      for (int part = 0; part < kParts; part += 2)
        decide(counter[part][word], counter[part + 1][word], word, part * kBlocks);
    }
  }

  int64_t group_ = -1;
  float scale_;
  uint32_t threshold_, row_ = 0;
  Dropout dropout_;
};

}  // namespace aid::AID_TARGET
