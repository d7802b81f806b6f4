// exp, the normal distribution and tanh on vectors, in the target's namespace.
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

// e^x with an error below 1.1 ulp; 0 below -104, infinity above 88.73, NaN for NaN.
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

struct Normal {
  Vec cdf;   // Φ(x)
  Vec bell;  // e^(-x²/2); its density is this / √(2π)
};

// The standard normal distribution: Φ with an error below 2.5e-7, of which x Φ(x) sees below 7e-8; relative error of
// the lower tail below 6e-5 for x > -5. Φ(-|x|) = e^(-x²/2) P(1 / (1 + 0.31 |x|)), a form after Hastings 1955
// (Abramowitz & Stegun 7.1.26); P, of degree 7, is fitted to least largest error of x Φ(x): 2.4e-9.
[[gnu::always_inline]] inline Normal normal(Vec x) {
  const Vec bell = exp(-0.5f * x * x);
  const Vec u = 1.0f / multiply_add(Vec(0.31f), magnitude_of(x), Vec(1.0f));
  Vec p(0.0438150614f);
  p = multiply_add(p, u, Vec(-0.2529203f));
  p = multiply_add(p, u, Vec(0.48016015f));
  p = multiply_add(p, u, Vec(-0.24776968f));
  p = multiply_add(p, u, Vec(0.26194444f));
  p = multiply_add(p, u, Vec(0.0874007419f));
  p = multiply_add(p, u, Vec(0.127369583f));
  Vec cdf = p * u * bell;
  stdx::where(x > 0.0f, cdf) = 1.0f - cdf;
  return {cdf, bell};
}

// tanh(x) with an error below 1.5 ulp, and the sign of x. Near 0, where 1 - 2 / (e^(2|x|) + 1) would lose digits, by
// the polynomial of Cephes' tanhf.
[[gnu::always_inline]] inline Vec tanh(Vec x) {
  const Vec magnitude = magnitude_of(x), square = x * x;
  Vec p(-5.70498872745e-3f);
  p = multiply_add(p, square, Vec(2.06390887954e-2f));
  p = multiply_add(p, square, Vec(-5.37397155531e-2f));
  p = multiply_add(p, square, Vec(1.33314422036e-1f));
  p = multiply_add(p, square, Vec(-3.33332819422e-1f));
  Vec y = multiply_add(p * square, magnitude, magnitude);
  stdx::where(magnitude >= 0.625f, y) = 1.0f - 2.0f / (exp(2.0f * magnitude) + 1.0f);
  return with_sign_of(x, y);  // of zero too
}

}  // namespace aid::AID_TARGET
