// Equations: expand_window.h. A warp takes a row of the result, in vectors of 16 bytes where rows allow it. The 2w + 1
// rows that it reads are those of the warps beside it, so memory gives each of them once.
#include "kernels/rows/expand_window.h"

#include "kernels/device/launch.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kWide = 4;

template <int kWidth>
__global__ void __launch_bounds__(kWarps* kWarp) expand_window_forward_kernel(ExpandWindowForward a) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (row >= a.y.rows) return;
  for (int64_t j = 0; j <= 2 * a.window; ++j) {
    const int64_t from = row + j - a.window;
    const bool there = 0 <= from && from < a.x.rows;
    for (int64_t column = threadIdx.x % kWarp * kWidth; column < a.x.cols; column += kWarp * kWidth) {
      float x[kWidth] = {};
      if (there) load(row_of<float>(a.x, from) + column, x);
      store(x, row_of<float>(a.y, row) + j * a.x.cols + column);
    }
  }
}

template <int kWidth>
__global__ void __launch_bounds__(kWarps* kWarp) expand_window_backward_kernel(ExpandWindowBackward a) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (row >= a.dx.rows) return;
  for (int64_t column = threadIdx.x % kWarp * kWidth; column < a.dx.cols; column += kWarp * kWidth) {
    float sum[kWidth] = {};
    if (a.dy2.data != nullptr) load(row_of<float>(a.dy2, row) + column, sum);
    for (int64_t j = 0; j <= 2 * a.window; ++j) {
      const int64_t from = row - j + a.window;
      if (from < 0 || from >= a.dy.rows) continue;
      float more[kWidth];
      load(row_of<float>(a.dy, from) + j * a.dx.cols + column, more);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) sum[i] += more[i];
    }
    store(sum, row_of<float>(a.dx, row) + column);
  }
}

}  // namespace

void expand_window_forward(Stream& s, const ExpandWindowForward& a) {
  const bool wide = a.x.cols % kWide == 0 && vectors_fit(kWide, a.y, a.x);
  launch(s, wide ? expand_window_forward_kernel<kWide> : expand_window_forward_kernel<1>,
         {.grid = blocks_for(a.x.rows, kWarps), .block = kWarps * kWarp}, a);
}

void expand_window_backward(Stream& s, const ExpandWindowBackward& a) {
  const bool wide = a.dx.cols % kWide == 0 && vectors_fit(kWide, a.dx, a.dy, a.dy2);
  launch(s, wide ? expand_window_backward_kernel<kWide> : expand_window_backward_kernel<1>,
         {.grid = blocks_for(a.dx.rows, kWarps), .block = kWarps * kWarp}, a);
}

}  // namespace aid::cuda
