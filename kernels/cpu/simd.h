// What the per-target CPU kernels share: a vector of floats as wide as the target's registers, with loads and stores
// from the storage types. Only *_cpu.cpp files may include it. Everything is in the target's namespace: the same inline
// function compiled for two instruction sets must be two functions.
#pragma once

#include <immintrin.h>

#include <experimental/simd>

#include "kernels/core/span.h"

#ifndef AID_TARGET
#error "kernels/cpu/*.h belong to *_cpu.cpp files, which the build compiles once per target"
#endif

namespace aid::AID_TARGET {

namespace stdx = std::experimental;

using Vec = stdx::native_simd<float>;
using VecU = stdx::rebind_simd_t<uint32_t, Vec>;
using VecI = stdx::rebind_simd_t<int32_t, Vec>;
using Mask = Vec::mask_type;
inline constexpr int kLanes = static_cast<int>(Vec::size());

[[gnu::always_inline]] inline Vec load(const float* p) { return Vec(p, stdx::element_aligned); }
[[gnu::always_inline]] inline void store(Vec v, float* p) { v.copy_to(p, stdx::element_aligned); }

#if defined(__AVX512F__)
[[gnu::always_inline]] inline Vec to_vec(__m512 v) { return Vec(v); }
[[gnu::always_inline]] inline __m512 native(Vec v) { return static_cast<__m512>(v); }
// a b + c, rounded once. stdx::fma of g++ 12 is a function call with its operands in memory.
[[gnu::always_inline]] inline Vec multiply_add(Vec a, Vec b, Vec c) {
  return to_vec(_mm512_fmadd_ps(native(a), native(b), native(c)));
}
// So are its abs, copysign and sqrt.
[[gnu::always_inline]] inline Vec magnitude_of(Vec v) { return to_vec(_mm512_abs_ps(native(v))); }
[[gnu::always_inline]] inline Vec with_sign_of(Vec sign, Vec v) {
  return to_vec(_mm512_or_ps(native(v), _mm512_and_ps(native(sign), _mm512_set1_ps(-0.0f))));
}
[[gnu::always_inline]] inline Vec square_root(Vec v) { return to_vec(_mm512_sqrt_ps(native(v))); }

[[gnu::always_inline]] inline Vec load(const f16* p) {
  return to_vec(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
}
[[gnu::always_inline]] inline void store(Vec v, f16* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(native(v), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
[[gnu::always_inline]] inline Vec load(const bf16* p) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return to_vec(_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
}
#else
[[gnu::always_inline]] inline Vec to_vec(__m256 v) { return Vec(v); }
[[gnu::always_inline]] inline __m256 native(Vec v) { return static_cast<__m256>(v); }
[[gnu::always_inline]] inline Vec multiply_add(Vec a, Vec b, Vec c) {
  return to_vec(_mm256_fmadd_ps(native(a), native(b), native(c)));
}
[[gnu::always_inline]] inline Vec magnitude_of(Vec v) {
  return to_vec(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), native(v)));
}
[[gnu::always_inline]] inline Vec with_sign_of(Vec sign, Vec v) {
  return to_vec(_mm256_or_ps(native(v), _mm256_and_ps(native(sign), _mm256_set1_ps(-0.0f))));
}
[[gnu::always_inline]] inline Vec square_root(Vec v) { return to_vec(_mm256_sqrt_ps(native(v))); }

[[gnu::always_inline]] inline Vec load(const f16* p) {
  return to_vec(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
[[gnu::always_inline]] inline void store(Vec v, f16* p) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm256_cvtps_ph(native(v), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
[[gnu::always_inline]] inline Vec load(const bf16* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return to_vec(_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)));
}
#endif

// Rounds to nearest even. Values are finite here except where the model has diverged; NaN stays NaN (AVX-512 BF16's own
// instruction flushes subnormals, so it is used in no target: every target gives the same bits).
[[gnu::always_inline]] inline void store(Vec v, bf16* p) {
#if defined(__AVX512F__)
  const __m512i u = _mm512_castps_si512(native(v));
  const __mmask16 odd = _mm512_test_epi32_mask(u, _mm512_set1_epi32(0x10000));
  const __m512i rounded =
      _mm512_mask_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd, u, _mm512_set1_epi32(0x8000));
  const __mmask16 nan = _mm512_cmp_ps_mask(native(v), native(v), _CMP_UNORD_Q);
  const __m512i bits = _mm512_mask_or_epi32(rounded, nan, u, _mm512_set1_epi32(0x400000));
  // One permutation takes the upper halves of all lanes.
  const __m512i upper_halves = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 31, 29, 27, 25, 23, 21,
                                                19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_castsi512_si256(_mm512_permutexvar_epi16(upper_halves, bits)));
#else
  const __m256i u = _mm256_castps_si256(native(v));
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256 nan = _mm256_cmp_ps(native(v), native(v), _CMP_UNORD_Q);
  const __m256i bits =
      _mm256_blendv_epi8(rounded, _mm256_or_si256(u, _mm256_set1_epi32(0x400000)), _mm256_castps_si256(nan));
  const __m256i high = _mm256_srli_epi32(bits, 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 0x08);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
#endif
}

// The first n < kLanes elements; the rest of the vector is zero and their memory is not touched.
#if defined(__AVX512F__)
template <class T>
[[gnu::always_inline]] inline Vec load_part(const T* p, int n) {
  const auto first = static_cast<__mmask16>((1u << n) - 1);
  if constexpr (sizeof(T) == 4) {
    return to_vec(_mm512_maskz_loadu_ps(first, p));
  } else {
    alignas(32) T padded[kLanes];
    _mm256_store_si256(reinterpret_cast<__m256i*>(padded), _mm256_maskz_loadu_epi16(first, p));
    return load(padded);
  }
}
template <class T>
[[gnu::always_inline]] inline void store_part(Vec v, T* p, int n) {
  const auto first = static_cast<__mmask16>((1u << n) - 1);
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_ps(p, first, native(v));
  } else {
    alignas(32) T padded[kLanes];
    store(v, padded);
    _mm256_mask_storeu_epi16(p, first, _mm256_load_si256(reinterpret_cast<const __m256i*>(padded)));
  }
}
#else
// All bits set in the first n lanes.
[[gnu::always_inline]] inline __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
template <class T>
[[gnu::always_inline]] inline Vec load_part(const T* p, int n) {
  if constexpr (sizeof(T) == 4) {
    return to_vec(_mm256_maskload_ps(p, first_lanes(n)));
  } else {
    alignas(16) T padded[kLanes] = {};
    for (int i = 0; i < n; ++i) padded[i] = p[i];
    return load(padded);
  }
}
template <class T>
[[gnu::always_inline]] inline void store_part(Vec v, T* p, int n) {
  if constexpr (sizeof(T) == 4) {
    _mm256_maskstore_ps(p, first_lanes(n), native(v));
  } else {
    alignas(16) T padded[kLanes];
    store(v, padded);
    for (int i = 0; i < n; ++i) p[i] = padded[i];
  }
}
#endif

// Calls f(i, n) over [0, size): n = kLanes for whole vectors, then once with what is left.
// f is instantiated for both, with `n` a compile-time constant in the first. The compiler does not inline f by itself:
// the function that calls this one is to be [[gnu::flatten]], or there is a call per vector.
template <class F>
[[gnu::always_inline]] inline void for_vectors(int64_t size, F&& f) {
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) f(i, std::integral_constant<int, kLanes>{});
  if (i < size) f(i, static_cast<int>(size - i));
}
template <class T, class N>
[[gnu::always_inline]] inline Vec load_n(const T* p, N n) {
  if constexpr (std::is_same_v<N, std::integral_constant<int, kLanes>>) {
    return load(p);
  } else {
    return load_part(p, n);
  }
}
template <class T, class N>
[[gnu::always_inline]] inline void store_n(Vec v, T* p, N n) {
  if constexpr (std::is_same_v<N, std::integral_constant<int, kLanes>>) {
    store(v, p);
  } else {
    store_part(v, p, n);
  }
}

// v with `value` in the lanes from n on.
template <class N>
[[gnu::always_inline]] inline Vec fill_from(Vec v, N n, float value) {
  if constexpr (!std::is_same_v<N, std::integral_constant<int, kLanes>>) {
    const Vec lane([](auto i) { return static_cast<float>(i); });
    stdx::where(lane >= static_cast<float>(n), v) = value;
  }
  return v;
}

// The sum of the lanes, always in the same order.
[[gnu::always_inline]] inline float sum(Vec v) { return stdx::reduce(v); }
[[gnu::always_inline]] inline float max(Vec v) { return stdx::hmax(v); }

// The sum of f(i, n) over [0, size), where f gives 0 in lanes from n on. Four accumulators: one would make every
// addition wait for the one before.
template <class F>
[[gnu::always_inline]] inline float sum_vectors(int64_t size, F&& f) {
  constexpr std::integral_constant<int, kLanes> kWhole;
  Vec total[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  int64_t i = 0;
  for (; i + 4 * kLanes <= size; i += 4 * kLanes) {
    total[0] += f(i, kWhole);
    total[1] += f(i + kLanes, kWhole);
    total[2] += f(i + 2 * kLanes, kWhole);
    total[3] += f(i + 3 * kLanes, kWhole);
  }
  for (; i + kLanes <= size; i += kLanes) total[0] += f(i, kWhole);
  if (i < size) total[1] += f(i, static_cast<int>(size - i));
  return sum((total[0] + total[1]) + (total[2] + total[3]));
}

// Where row `row` of a span begins. Span::as<T>() checks what the public function has checked already, and its inline
// code, compiled for this target, could be the copy that the linker keeps for all.
template <class T>
[[gnu::always_inline]] inline T* row_of(const Span& span, int64_t row) {
  return static_cast<T*>(span.data) + row * span.stride;
}
template <class T>
[[gnu::always_inline]] inline const T* row_of(const CSpan& span, int64_t row) {
  return static_cast<const T*>(span.data) + row * span.stride;
}

// Calls f with a value of the element type, f32 or bf16: with_float_type(x.dtype, [&]<class T>(T) { ... }).
template <class F>
void with_float_type(DType dtype, F&& f) {
  if (dtype == DType::bf16) {
    f(bf16{});
  } else {
    f(float{});
  }
}

}  // namespace aid::AID_TARGET
