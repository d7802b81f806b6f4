// Equation: dropout.h. A warp takes 256 columns of a row, which are what one vote of it decides about; the mask is
// never stored.
#include "kernels/elements/dropout.h"

#include "kernels/device/philox.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {
namespace {

constexpr int kWarps = 8;

template <class T, int kWidth>
__global__ void __launch_bounds__(kWarps* kWarp) dropout_kernel(DropoutForward a, DropoutKernel dropout) {
  const int cols = static_cast<int>(a.x.cols);
  const int sections = (cols + DropoutMask::kSection - 1) / DropoutMask::kSection;
  const int64_t task = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  const int64_t row = task / sections;
  if (row >= a.x.rows) return;
  const int begin = static_cast<int>(task % sections) * DropoutMask::kSection;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  DropoutMask mask(dropout, dropout.on ? row_of<int32_t>(a.row_ids, 0)[row] : 0);
#pragma unroll
  for (int chunk = 0; chunk < DropoutMask::kSection / (kWarp * kWidth); ++chunk) {
    const int column = begin + (chunk * kWarp + lane) * kWidth;
    float x[kWidth];
    if (column < cols) load(row_of<T>(a.x, row) + column, x);
    if (dropout.on) mask.apply(column, x);
    if (column < cols) store(x, row_of<T>(a.y, row) + column);
  }
}

}  // namespace

void dropout_forward(Stream& s, const DropoutForward& a) {
  const LaunchShape shape = {.grid = blocks_for(a.x.rows * blocks_for(a.x.cols, DropoutMask::kSection), kWarps),
                             .block = kWarps * kWarp};
  with_float_type(a.x.dtype, [&]<class T>(T) {
    constexpr int kWide = 16 / static_cast<int>(sizeof(T));
    if (a.x.cols % kWide == 0 && vectors_fit(kWide, a.x, a.y)) {
      launch(s, dropout_kernel<T, kWide>, shape, a, DropoutKernel(a.dropout));
    } else {
      launch(s, dropout_kernel<T, 1>, shape, a, DropoutKernel(a.dropout));
    }
  });
}

}  // namespace aid::cuda
