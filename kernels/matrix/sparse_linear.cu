// Equations: sparse_linear.h. Forward: a warp has a document and a class, its lanes every thirty-second item, so that
// many of the weights, which lie anywhere, are under way at once. Backward: a thread has a group of items of one index
// and a class, and adds their sum to the weight; neighbouring threads have neighbouring groups. Where classes share
// weights, they follow one another in launches of their own.
#include "kernels/matrix/sparse_linear.h"

#include "kernels/device/column_sums.cuh"
#include "kernels/device/reduce.cuh"
#include "kernels/device/vector.cuh"
#include "kernels/lookup/group_by_row.h"

namespace aid::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kBlock = kWarps * kWarp;

__global__ void __launch_bounds__(kBlock) sparse_linear_forward_kernel(SparseLinearForward a) {
  const int64_t task = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  const int64_t document = task / a.y.cols, c = task % a.y.cols;
  if (document >= a.y.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int32_t *index = row_of<int32_t>(a.index, 0), *first = row_of<int32_t>(a.first, 0) + document;
  const float *values = row_of<float>(a.values, 0), *w = row_of<float>(a.w, 0) + c * a.class_stride;
  float sum = 0;
#pragma unroll 4
  for (int32_t i = first[0] + lane; i < first[1]; i += kWarp) sum += values[i] * w[index[i]];
  sum = warp_sum(sum);
  if (lane == 0) row_of<float>(a.y, document)[c] = row_of<float>(a.bias, 0)[c] + sum;
}

// Classes from first_class on, as many as the grid has block rows.
__global__ void __launch_bounds__(kBlock)
    sparse_linear_backward_kernel(SparseLinearBackward a, CSpan document, RowGroups groups, int64_t first_class) {
  const int64_t group = int64_t{blockIdx.x} * kBlock + threadIdx.x, c = first_class + blockIdx.y;
  if (group >= groups.count) return;
  const int32_t *order = row_of<int32_t>(groups.order, 0), *first = row_of<int32_t>(groups.first, 0) + group;
  float sum = 0;
  for (int32_t i = first[0]; i < first[1]; ++i) {
    const int32_t item = order[i];
    sum += row_of<float>(a.values, 0)[item] * row_of<float>(a.dy, row_of<int32_t>(document, 0)[item])[c];
  }
  row_of<float>(a.dw, 0)[c * a.class_stride + row_of<int32_t>(groups.row, 0)[group]] += sum;
}

}  // namespace

void sparse_linear_forward(Stream& s, const SparseLinearForward& a) {
  launch(s, sparse_linear_forward_kernel, {.grid = blocks_for(a.y.rows * a.y.cols, kWarps), .block = kBlock}, a);
}

void sparse_linear_backward(Stream& s, const SparseLinearBackward& a, const CSpan& document, const RowGroups& groups) {
  const int64_t classes = a.dy.cols;
  const bool shared = groups.count > 0 && groups.row.host_as<int32_t>()[groups.count - 1] >= a.class_stride;
  const int64_t at_once = shared ? 1 : classes;
  for (int64_t c = 0; c < classes; c += at_once) {
    launch(s, sparse_linear_backward_kernel,
           {.grid = dim3(blocks_for(groups.count, kBlock), static_cast<unsigned>(at_once)), .block = kBlock}, a,
           document, groups, c);
  }
  add_column_sums(s, {.first = a.dbias, .x = a.dy});
}

}  // namespace aid::cuda
