// Equations: segment_mean.h. A block has a segment, its threads the columns: neighbouring threads read neighbouring
// elements, and a column's sum has the order of the rows.
#include "kernels/rows/segment_mean.h"

#include "kernels/device/launch.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {
namespace {

constexpr int kBlock = 128;

__global__ void __launch_bounds__(kBlock) segment_mean_forward_kernel(SegmentMeanForward a) {
  const int64_t segment = blockIdx.x;
  const int32_t* const first = row_of<int32_t>(a.first, 0) + segment;
  for (int64_t k = threadIdx.x; k < a.y.cols; k += kBlock) {
    double sum = 0;
    for (int64_t r = first[0]; r < first[1]; ++r) sum += static_cast<double>(row_of<float>(a.x, r)[k]);
    row_of<float>(a.y, segment)[k] = static_cast<float>(sum / (first[1] - first[0]));
  }
}

__global__ void __launch_bounds__(kBlock) segment_mean_backward_kernel(SegmentMeanBackward a) {
  const int64_t segment = blockIdx.x;
  const int32_t* const first = row_of<int32_t>(a.first, 0) + segment;
  const auto rows = static_cast<float>(first[1] - first[0]);
  for (int64_t k = threadIdx.x; k < a.dx.cols; k += kBlock) {
    const float share = row_of<float>(a.dy, segment)[k] / rows;
    for (int64_t r = first[0]; r < first[1]; ++r) row_of<float>(a.dx, r)[k] = share;
  }
}

}  // namespace

void segment_mean_forward(Stream& s, const SegmentMeanForward& a) {
  launch(s, segment_mean_forward_kernel, {.grid = blocks_for(a.y.rows, 1), .block = kBlock}, a);
}

void segment_mean_backward(Stream& s, const SegmentMeanBackward& a) {
  launch(s, segment_mean_backward_kernel, {.grid = blocks_for(a.dy.rows, 1), .block = kBlock}, a);
}

}  // namespace aid::cuda
