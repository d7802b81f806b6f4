// Equations: softmax.h. A warp has a row, which is short (as many values as there are classes): its second pass reads
// it from the first-level cache.
#include "kernels/rows/softmax.h"

#include "kernels/device/reduce.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {
namespace {

constexpr int kWarps = 4;

__global__ void __launch_bounds__(kWarps* kWarp) softmax_backward_kernel(SoftmaxBackward a) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (row >= a.dx.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, cols = static_cast<int>(a.dx.cols);
  const float *const dy = row_of<float>(a.dy, row), *const y = row_of<float>(a.y, row);
  float lane_dot = 0;
  for (int k = lane; k < cols; k += kWarp) lane_dot += dy[k] * y[k];
  const float dot = warp_sum(lane_dot);
  float* const dx = row_of<float>(a.dx, row);
  for (int k = lane; k < cols; k += kWarp) dx[k] = y[k] * (dy[k] - dot);
}

}  // namespace

void softmax_backward(Stream& s, const SoftmaxBackward& a) {
  launch(s, softmax_backward_kernel, {.grid = blocks_for(a.dx.rows, kWarps), .block = kWarps * kWarp}, a);
}

}  // namespace aid::cuda
