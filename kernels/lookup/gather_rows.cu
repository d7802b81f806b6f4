// Equations: gather_rows.h. A warp takes a row of the index, in vectors of 16 bytes where rows allow it.
#include "kernels/lookup/gather_rows.h"

#include "kernels/device/launch.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {
namespace {

constexpr int kWarps = 4;

// row_units, y_stride, x_stride: in units of Unit.
template <class Unit>
__global__ void __launch_bounds__(kWarps* kWarp)
    gather_rows_kernel(GatherRows a, int64_t row_units, int64_t y_stride, int64_t x_stride) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (row >= a.y.rows) return;
  const Unit* const from = static_cast<const Unit*>(a.x.data) + row_of<int32_t>(a.index, 0)[row] * x_stride;
  Unit* const to = static_cast<Unit*>(a.y.data) + row * y_stride;
  for (int64_t i = threadIdx.x % kWarp; i < row_units; i += kWarp) to[i] = from[i];
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kWarps* kWarp) scatter_add_rows_kernel(ScatterAddRows a) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (row >= a.x.rows) return;
  T* const to = row_of<T>(a.y, row_of<int32_t>(a.index, 0)[row]);
  for (int64_t column = threadIdx.x % kWarp * kWidth; column < a.x.cols; column += kWarp * kWidth) {
    float sum[kWidth], more[kWidth];
    load(to + column, sum);
    load(row_of<T>(a.x, row) + column, more);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) sum[i] += more[i];
    store(sum, to + column);
  }
}

}  // namespace

void gather_rows(Stream& s, const GatherRows& a) {
  const LaunchShape shape = {.grid = blocks_for(a.y.rows, kWarps), .block = kWarps * kWarp};
  const auto bytes = static_cast<int64_t>(size_of(a.x.dtype));
  const auto run = [&](auto kernel, int64_t unit) {
    launch(s, kernel, shape, a, a.x.cols * bytes / unit, a.y.stride * bytes / unit, a.x.stride * bytes / unit);
  };
  const int64_t wide = 16 / bytes;
  if (a.x.cols % wide == 0 && a.x.stride % wide == 0 && a.y.stride % wide == 0 && vectors_fit(wide, a.x, a.y)) {
    run(gather_rows_kernel<uint4>, 16);
  } else if (bytes == 2) {
    run(gather_rows_kernel<uint16_t>, 2);
  } else if (bytes == 1) {
    run(gather_rows_kernel<uint8_t>, 1);
  } else {
    run(gather_rows_kernel<uint32_t>, 4);
  }
}

void scatter_add_rows(Stream& s, const ScatterAddRows& a) {
  const LaunchShape shape = {.grid = blocks_for(a.x.rows, kWarps), .block = kWarps * kWarp};
  with_float_type(a.x.dtype, [&]<class T>(T) {
    constexpr int kWide = 16 / static_cast<int>(sizeof(T));
    if (a.x.cols % kWide == 0 && vectors_fit(kWide, a.x, a.y)) {
      launch(s, scatter_add_rows_kernel<T, kWide>, shape, a);
    } else {
      launch(s, scatter_add_rows_kernel<T, 1>, shape, a);
    }
  });
}

}  // namespace aid::cuda
