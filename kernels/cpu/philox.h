// kernels/core/philox.h on vectors, in the target's namespace: the same bits.
#pragma once

#include "kernels/core/philox.h"
#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {

// Drops the elements of one row after another:
//   DropoutMask mask(dropout);  mask.start_row(id);  y = mask.apply(x, column) ...
// It computes 128 elements' numbers at once (8 of each of 16 Philox blocks) and keeps them until another 128 are asked
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
    if (element / 128 != group_) compute(element / 128);
    const int64_t number = element % 128 / 16;
    const uint32_t* words = words_[number / 2] + element % 16;
    const int shift = number % 2 * 16;
#if defined(__AVX512F__)
    const __m512i bits = _mm512_and_si512(_mm512_srl_epi32(_mm512_load_si512(words), _mm_cvtsi32_si128(shift)),
                                          _mm512_set1_epi32(0xffff));
    const __mmask16 keep = _mm512_cmpge_epu32_mask(bits, _mm512_set1_epi32(static_cast<int>(threshold_)));
    return to_vec(_mm512_maskz_mul_ps(keep, native(x), _mm512_set1_ps(scale_)));
#else
    const __m256i loaded = _mm256_load_si256(reinterpret_cast<const __m256i*>(words));
    const __m256i bits =
        _mm256_and_si256(_mm256_srl_epi32(loaded, _mm_cvtsi32_si128(shift)), _mm256_set1_epi32(0xffff));
    const __m256i dropped = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(threshold_)), bits);
    return to_vec(_mm256_andnot_ps(_mm256_castsi256_ps(dropped), native(x * scale_)));
#endif
  }

 private:
#if defined(__AVX512F__)
  using Wide = __m512i;
  static constexpr int kBlocks = 8;  // in one register
  [[gnu::always_inline]] static Wide broadcast(uint32_t v) { return _mm512_set1_epi64(static_cast<int64_t>(v)); }
  [[gnu::always_inline]] static Wide multiply(Wide a, Wide b) { return _mm512_mul_epu32(a, b); }
  [[gnu::always_inline]] static Wide upper(Wide v) { return _mm512_srli_epi64(v, 32); }
  [[gnu::always_inline]] static Wide xor3(Wide a, Wide b, Wide c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
  [[gnu::always_inline]] static Wide add(Wide a, Wide b) { return _mm512_add_epi64(a, b); }
  [[gnu::always_inline]] static Wide even_lanes() { return _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14); }
  [[gnu::always_inline]] static void store_pairs(Wide even, Wide odd, uint32_t* p) {
    _mm512_store_si512(p, _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)));
  }
#else
  using Wide = __m256i;
  static constexpr int kBlocks = 4;
  [[gnu::always_inline]] static Wide broadcast(uint32_t v) { return _mm256_set1_epi64x(static_cast<int64_t>(v)); }
  [[gnu::always_inline]] static Wide multiply(Wide a, Wide b) { return _mm256_mul_epu32(a, b); }
  [[gnu::always_inline]] static Wide upper(Wide v) { return _mm256_srli_epi64(v, 32); }
  [[gnu::always_inline]] static Wide xor3(Wide a, Wide b, Wide c) {
    return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
  }
  [[gnu::always_inline]] static Wide add(Wide a, Wide b) { return _mm256_add_epi64(a, b); }
  [[gnu::always_inline]] static Wide even_lanes() { return _mm256_setr_epi64x(0, 2, 4, 6); }
  [[gnu::always_inline]] static void store_pairs(Wide even, Wide odd, uint32_t* p) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(p), _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa));
  }
#endif
  static constexpr int kParts = 16 / kBlocks;  // registers for the 16 blocks of a group

  // Part 2 i + j holds blocks 2 kBlocks i + j, + 2, + 4 ...: even and odd blocks interleave into a vector of words.
  [[gnu::noinline]] void compute(int64_t group) {
    group_ = group;
    Wide counter[kParts][4];
    for (int part = 0; part < kParts; ++part) {
      const auto first = static_cast<uint32_t>(group * 16 + part / 2 * 2 * kBlocks + part % 2);
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
      for (int part = 0; part < kParts; part += 2) {
        store_pairs(counter[part][word], counter[part + 1][word], words_[word] + part * kBlocks);
      }
    }
  }

  alignas(64) uint32_t words_[4][16];  // words_[w][b]: word w of block b
  int64_t group_ = -1;
  float scale_;
  uint32_t threshold_, row_ = 0;
  Dropout dropout_;
};

}  // namespace aid::AID_TARGET
