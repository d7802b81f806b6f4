// Elements of the storage types as f32, one at a time or as many as 16 bytes hold.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/core/span.h"

namespace aid::cuda {

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(bf16 x) { return __uint_as_float(static_cast<uint32_t>(x.bits) << 16); }
__device__ inline float to_float(f16 x) { return __half2float(__ushort_as_half(x.bits)); }

// Rounds to nearest even.
template <class T>
__device__ inline T from_float(float x) {
  if constexpr (std::is_same_v<T, bf16>) {
    bf16 narrow;
    narrow.bits = __bfloat16_as_ushort(__float2bfloat16_rn(x));
    return narrow;
  } else if constexpr (std::is_same_v<T, f16>) {
    return {__half_as_ushort(__float2half_rn(x))};
  } else {
    return x;
  }
}

// Two 16-bit elements in one register, the first in its lower half.
template <class T>
__device__ inline float2 unpack(uint32_t pair) {
  if constexpr (std::is_same_v<T, bf16>) {
    return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u)};
  } else {
    return {__half2float(__ushort_as_half(static_cast<unsigned short>(pair & 0xffffu))),
            __half2float(__ushort_as_half(static_cast<unsigned short>(pair >> 16)))};
  }
}
template <class T>
__device__ inline uint32_t pack(float low, float high) {
  return static_cast<uint32_t>(from_float<T>(low).bits) | static_cast<uint32_t>(from_float<T>(high).bits) << 16;
}
template <>
__device__ inline uint32_t pack<bf16>(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);  // one instruction
  return static_cast<uint32_t>(__bfloat16_as_ushort(pair.x)) | static_cast<uint32_t>(__bfloat16_as_ushort(pair.y))
                                                                   << 16;
}
template <>
__device__ inline uint32_t pack<f16>(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return static_cast<uint32_t>(__half_as_ushort(pair.x)) | static_cast<uint32_t>(__half_as_ushort(pair.y)) << 16;
}

// N neighbouring elements: N = 1, or 4 or 8, which need a pointer aligned to min(16, N sizeof(T)) bytes.
template <int N, class T>
__device__ inline void load(const T* from, float (&to)[N]) {
  if constexpr (N == 1) {
    to[0] = to_float(*from);
  } else if constexpr (sizeof(T) == 4) {
#pragma unroll
    for (int i = 0; i < N; i += 4) {
      const float4 four = *reinterpret_cast<const float4*>(from + i);
      to[i] = four.x, to[i + 1] = four.y, to[i + 2] = four.z, to[i + 3] = four.w;
    }
  } else {
    uint32_t pairs[N / 2];
    if constexpr (N == 8) {
      const uint4 all = *reinterpret_cast<const uint4*>(from);
      pairs[0] = all.x, pairs[1] = all.y, pairs[2] = all.z, pairs[3] = all.w;
    } else {
      const uint2 all = *reinterpret_cast<const uint2*>(from);
      pairs[0] = all.x, pairs[1] = all.y;
    }
#pragma unroll
    for (int i = 0; i < N / 2; ++i) {
      const float2 two = unpack<T>(pairs[i]);
      to[2 * i] = two.x, to[2 * i + 1] = two.y;
    }
  }
}

// The same to global memory. A vector's store is CUDA's intrinsic, with the caching that stores have anyway: where a
// scalar path stands beside it, nvcc takes an assignment apart into four stores.
template <int N, class T>
__device__ inline void store(const float (&from)[N], T* to) {
  if constexpr (N == 1) {
    *to = from_float<T>(from[0]);
  } else if constexpr (sizeof(T) == 4) {
#pragma unroll
    for (int i = 0; i < N; i += 4) {
      __stwb(reinterpret_cast<float4*>(to + i), make_float4(from[i], from[i + 1], from[i + 2], from[i + 3]));
    }
  } else if constexpr (N == 8) {
    __stwb(reinterpret_cast<uint4*>(to), make_uint4(pack<T>(from[0], from[1]), pack<T>(from[2], from[3]),
                                                    pack<T>(from[4], from[5]), pack<T>(from[6], from[7])));
  } else {
    __stwb(reinterpret_cast<uint2*>(to), make_uint2(pack<T>(from[0], from[1]), pack<T>(from[2], from[3])));
  }
}

template <class T>
__device__ inline T* row_of(const Span& span, int64_t row) {
  return static_cast<T*>(span.data) + row * span.stride;
}
template <class T>
__device__ inline const T* row_of(const CSpan& span, int64_t row) {
  return static_cast<const T*>(span.data) + row * span.stride;
}

// Whether every row of the spans that are there can be read in vectors of `width` elements: rows begin at 16 bytes, or
// at the vector's size where it is smaller.
template <class... Spans>
bool vectors_fit(int64_t width, const Spans&... spans) {
  const auto fits = [&](const CSpan& span) {
    const auto bytes = static_cast<int64_t>(size_of(span.dtype));
    const int64_t vector = std::min<int64_t>(16, width * bytes);
    return reinterpret_cast<uintptr_t>(span.data) % static_cast<uintptr_t>(vector) == 0 &&
           (span.rows <= 1 || span.stride * bytes % vector == 0);
  };
  return (fits(spans) && ...);
}

// Calls f with a value of the element type, f32, bf16 or f16: with_float_type(x.dtype, [&]<class T>(T) { ... }).
template <class F>
void with_float_type(DType dtype, F&& f) {
  if (dtype == DType::bf16) {
    f(bf16{});
  } else if (dtype == DType::f16) {
    f(f16{});
  } else {
    f(float{});
  }
}

}  // namespace aid::cuda
