// exp on vectors, in the target's namespace.
#pragma once

#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {

// v * 2^n for integral n in [-252, 254].
[[gnu::always_inline]] inline Vec scale_by_power_of_two(Vec v, Vec n) {
#if defined(__AVX512F__)
  return to_vec(_mm512_scalef_ps(native(v), native(n)));
#else
  // In two halves: 2^128 has no f32, but 2^64 * 2^64 times something below 1 does.
  const __m256i whole = _mm256_cvtps_epi32(native(n));
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const auto power = [](__m256i e) {
    return to_vec(_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23)));
  };
  return v * power(half) * power(_mm256_sub_epi32(whole, half));
#endif
}

// e^x with a relative error below 2 ulp; 0 below -104, infinity above 88.73, NaN for NaN.
// x = n ln2 + r with |r| <= ln2 / 2 (ln2 in two parts, after Cody and Waite); e^r by the polynomial of Cephes' expf.
[[gnu::always_inline]] inline Vec exp(Vec x) {
  // min and max in this order pass a NaN of x on.
  const Vec bounded = to_vec(
#if defined(__AVX512F__)
      _mm512_max_ps(_mm512_set1_ps(-104.0f), _mm512_min_ps(_mm512_set1_ps(89.0f), native(x)))
#else
      _mm256_max_ps(_mm256_set1_ps(-104.0f), _mm256_min_ps(_mm256_set1_ps(89.0f), native(x)))
#endif
  );
  const Vec n = to_vec(
#if defined(__AVX512F__)
      _mm512_roundscale_ps(native(bounded * 1.44269504f), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#else
      _mm256_round_ps(native(bounded * 1.44269504f), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#endif
  );
  const Vec r = multiply_add(n, Vec(-1.42860677e-6f), multiply_add(n, Vec(-0.693145752f), bounded));
  Vec p(1.9875691500e-4f);
  p = multiply_add(p, r, Vec(1.3981999507e-3f));
  p = multiply_add(p, r, Vec(8.3334519073e-3f));
  p = multiply_add(p, r, Vec(4.1665795894e-2f));
  p = multiply_add(p, r, Vec(1.6666665459e-1f));
  p = multiply_add(p, r, Vec(5.0000001201e-1f));
  return scale_by_power_of_two(multiply_add(p, r * r, r) + 1.0f, n);
}

}  // namespace aid::AID_TARGET
