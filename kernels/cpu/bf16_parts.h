// A float as the sum of three bf16, for products of floats on hardware that multiplies bf16 only:
//   x = high + mid + low        exactly, each rounded to nearest from what the ones before it have left over
// With 2^e <= |x| < 2^(e+1): |mid| <= 2^(e-8), |low| <= 2^(e-17), and low has no more than the last 7 of x's 24 bits.
// Of the nine products of x y, three may be left out, all below half an ulp of x y together:
//   |mid low' + low mid' + low low'| <= (2^-24 + 2^-34) |x y|
// A processor that takes bf16 denormals for zero loses what of x lies below 2^-126: nothing from 2^-103 on.
// Sources: Henry, Tang, Heinecke 2019, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
// Computations"; the three parts of oneMKL's float_to_bf16x3.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace aid::AID_TARGET {

// Of 16 floats, each part in the upper half of its lane; what the lower halves hold is left open.
struct Bf16Parts {
  __m512i high, mid, low;
};

// Infinity and NaN stand in `low`, beside the smallest normal number of their sign: split as other numbers are, they
// would meet parts that are zero, or of the other sign, and make NaN of infinity. As it is, low meets the other
// factor's high alone, and gives what the factors themselves would: infinity of the right sign, NaN from zero or NaN.
[[gnu::cold, gnu::noinline]] inline Bf16Parts with_not_finite(Bf16Parts parts, __m512 value, __mmask16 not_finite) {
  const __m512i sign = _mm512_and_si512(_mm512_castps_si512(value), _mm512_set1_epi32(INT32_MIN));
  // A NaN's sum with itself has its quiet bit, which is in the upper half.
  const __m512i quiet = _mm512_castps_si512(_mm512_add_ps(value, value));
  return {_mm512_mask_or_epi32(parts.high, not_finite, sign, _mm512_set1_epi32(0x00800000)),
          _mm512_mask_mov_epi32(parts.mid, not_finite, _mm512_setzero_si512()),
          _mm512_mask_mov_epi32(parts.low, not_finite, quiet)};
}

[[gnu::always_inline]] inline Bf16Parts split_bf16(__m512 value) {
  const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32(static_cast<int>(0xffff0000));
  const auto as_float = [](__m512i bits) __attribute__((always_inline)) { return _mm512_castsi512_ps(bits); };
  const __m512i x = _mm512_castps_si512(value);
  const __m512i magnitude = _mm512_and_si512(x, _mm512_set1_epi32(INT32_MAX));
  // The largest floats would be rounded to infinity: they are cut off, and mid has up to twice as much to give.
  const __mmask16 ordinary = _mm512_cmplt_epu32_mask(magnitude, _mm512_set1_epi32(0x7f7f8000));
  const __m512i high = _mm512_and_si512(_mm512_mask_add_epi32(x, ordinary, x, half), upper);
  const __m512 rest = _mm512_sub_ps(value, as_float(high));
  const __m512i mid = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(rest), half), upper);
  const __m512 low = _mm512_sub_ps(rest, as_float(mid));
  const Bf16Parts parts = {high, mid, _mm512_castps_si512(low)};
  if (ordinary == 0xffff) [[likely]]
    return parts;
  return with_not_finite(parts, value, _mm512_cmpge_epu32_mask(magnitude, _mm512_set1_epi32(0x7f800000)));
}

// The upper halves of a's lanes, then of b's.
[[gnu::always_inline]] inline __m512i append_bf16(__m512i a, __m512i b) {
  const __m512i upper_halves = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29,
                                                27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  return _mm512_permutex2var_epi16(a, upper_halves, b);
}

// Pairs: the upper half of a's lane below that of b's.
[[gnu::always_inline]] inline __m512i pair_bf16(__m512i a, __m512i b) {
  constexpr __mmask32 kUpperHalves = 0xaaaaaaaa;
  return _mm512_mask_blend_epi16(kUpperHalves, _mm512_srli_epi32(a, 16), b);
}

}  // namespace aid::AID_TARGET
