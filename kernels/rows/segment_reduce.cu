// Equations: segment_reduce.h. A block has a segment and 128 columns, a thread one of them: neighbouring threads read
// neighbouring elements, and a column's sum has the order of the rows. Loops are unrolled so that eight rows are under
// way before the first is added.
#include "kernels/rows/segment_reduce.h"

#include "kernels/device/launch.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {
namespace {

constexpr int kBlock = 128;

// The sum of column k over rows [begin, end).
__device__ double column_sum(const CSpan& x, int64_t begin, int64_t end, int64_t k) {
  double sum = 0;
#pragma unroll 8
  for (int64_t r = begin; r < end; ++r) sum += static_cast<double>(row_of<float>(x, r)[k]);
  return sum;
}

// The first row of [begin, end) where column k is largest; -1 without rows.
__device__ int64_t largest_row(const CSpan& x, int64_t begin, int64_t end, int64_t k) {
  if (begin == end) return -1;
  int64_t which = begin;
  float largest = row_of<float>(x, begin)[k];
#pragma unroll 8
  for (int64_t r = begin + 1; r < end; ++r) {
    const float value = row_of<float>(x, r)[k];
    which = value > largest ? r : which;
    largest = value > largest ? value : largest;
  }
  return which;
}

__global__ void __launch_bounds__(kBlock) segment_reduce_forward_kernel(SegmentReduceForward a) {
  const int64_t segment = blockIdx.x, k = int64_t{blockIdx.y} * kBlock + threadIdx.x;
  if (k >= a.y.cols) return;
  const int64_t begin = row_of<int32_t>(a.first, 0)[segment], end = row_of<int32_t>(a.first, 0)[segment + 1];
  float y = 0;
  if (a.reduction == Reduction::sum || a.reduction == Reduction::mean) {
    const double sum = column_sum(a.x, begin, end, k);
    y = static_cast<float>(a.reduction == Reduction::mean && begin < end ? sum / static_cast<double>(end - begin)
                                                                         : sum);
  } else if (a.reduction == Reduction::max) {
    const int64_t which = largest_row(a.x, begin, end, k);
    if (which >= 0) y = row_of<float>(a.x, which)[k];
    if (a.which.data != nullptr) row_of<int32_t>(a.which, segment)[k] = static_cast<int32_t>(which);
  } else if (begin < end) {
    y = row_of<float>(a.x, a.reduction == Reduction::first ? begin : end - 1)[k];
  }
  row_of<float>(a.y, segment)[k] = y;
}

__global__ void __launch_bounds__(kBlock) segment_reduce_backward_kernel(SegmentReduceBackward a) {
  const int64_t segment = blockIdx.x, k = int64_t{blockIdx.y} * kBlock + threadIdx.x;
  if (k >= a.dx.cols) return;
  const int64_t begin = row_of<int32_t>(a.first, 0)[segment], end = row_of<int32_t>(a.first, 0)[segment + 1];
  float share = row_of<float>(a.dy, segment)[k];
  if (a.reduction == Reduction::mean) share /= static_cast<float>(end - begin);
  const bool all = a.reduction == Reduction::sum || a.reduction == Reduction::mean;
  int64_t only = -1;  // row that gets it
  if (a.reduction == Reduction::max) only = row_of<int32_t>(a.which, segment)[k];
  if (a.reduction == Reduction::first) only = begin;
  if (a.reduction == Reduction::last) only = end - 1;
  for (int64_t r = begin; r < end; ++r) row_of<float>(a.dx, r)[k] = all || r == only ? share : 0.0f;
}

LaunchShape shape_for(int64_t segments, int64_t cols) {
  return {.grid = dim3(blocks_for(segments, 1), blocks_for(cols, kBlock)), .block = kBlock};
}

}  // namespace

void segment_reduce_forward(Stream& s, const SegmentReduceForward& a) {
  launch(s, segment_reduce_forward_kernel, shape_for(a.y.rows, a.y.cols), a);
}

void segment_reduce_backward(Stream& s, const SegmentReduceBackward& a) {
  launch(s, segment_reduce_backward_kernel, shape_for(a.dy.rows, a.dy.cols), a);
}

}  // namespace aid::cuda
