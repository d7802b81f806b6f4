// Every element is read once, widened to f32 and written once in the other type, in vectors of 16 bytes of the wider
// type: a warp's access is one run of memory on both sides.
#include "kernels/elements/cast.h"

#include "kernels/device/elementwise.cuh"

namespace aid::cuda {
namespace {

// bfloat16's own conversion, which keeps a NaN's bits; the processor's makes one NaN of all.
template <int N>
__device__ void store_exactly(const float (&from)[N], bf16* to) {
  float rounded[N];
#pragma unroll
  for (int i = 0; i < N; ++i) rounded[i] = __uint_as_float(static_cast<uint32_t>(bf16(from[i]).bits) << 16);
  if constexpr (N == 1) {
    to->bits = static_cast<uint16_t>(__float_as_uint(rounded[0]) >> 16);
  } else {
    uint32_t pairs[N / 2];
#pragma unroll
    for (int i = 0; i < N / 2; ++i) {
      pairs[i] = __float_as_uint(rounded[2 * i]) >> 16 | (__float_as_uint(rounded[2 * i + 1]) & 0xffff0000u);
    }
    if constexpr (N == 8) {
      __stwb(reinterpret_cast<uint4*>(to), make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]));
    } else {
      __stwb(reinterpret_cast<uint2*>(to), make_uint2(pairs[0], pairs[1]));
    }
  }
}
template <int N, class T>
__device__ void store_exactly(const float (&from)[N], T* to) {
  store(from, to);
}

template <class To, class From, int kWidth>
__global__ void __launch_bounds__(kElementBlock) cast_kernel(Cast a, int64_t rows, int64_t cols) {
  for_elements<kWidth>(rows, cols, [&](int64_t row, int64_t column, auto width) {
    float value[width];
    load(row_of<From>(a.x, row) + column, value);
    store_exactly(value, row_of<To>(a.y, row) + column);
  });
}

}  // namespace

void cast(Stream& s, const Cast& a) {
  const ElementGrid grid(a.y, a.x);
  with_float_type(a.x.dtype, [&]<class From>(From) {
    with_float_type(a.y.dtype, [&]<class To>(To) {
      constexpr int kWide = 16 / static_cast<int>(std::max(sizeof(From), sizeof(To)));
      if (vectors_fit(kWide, a.x, a.y)) {
        launch(s, cast_kernel<To, From, kWide>, grid.shape(kWide), a, grid.rows, grid.cols);
      } else {
        launch(s, cast_kernel<To, From, 1>, grid.shape(1), a, grid.rows, grid.cols);
      }
    });
  });
}

}  // namespace aid::cuda
