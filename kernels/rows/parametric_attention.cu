// Equations: parametric_attention.h. A block has a segment. A warp takes every eighth of its rows: first for the row's
// product with the query (backward: with dy), whose sum over lanes all of them get, then for its part of the weighted
// sums over rows, by runs of columns; the warps' parts are added in their order. A segment's rows come from memory
// once: the second time they are in the second-level cache.
#include "kernels/rows/parametric_attention.h"

#include "kernels/device/column_sums.cuh"
#include "kernels/device/reduce.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kBlock = kWarps * kWarp;
constexpr int kWide = 4;
constexpr float kClip = 20;

// Rows [begin, end) of a segment.
struct Rows {
  int64_t begin, end;
};

__device__ Rows rows_of(const CSpan& first, int64_t segment) {
  return {row_of<int32_t>(first, 0)[segment], row_of<int32_t>(first, 0)[segment + 1]};
}

__device__ int warp() { return static_cast<int>(threadIdx.x) / kWarp; }
__device__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }

// Of a whole warp, the same bits in every lane.
template <int kWidth>
__device__ float dot(const float* a, const float* b, int64_t cols) {
  float sum = 0;
  for (int64_t column = lane() * kWidth; column < cols; column += kWarp * kWidth) {
    float left[kWidth], right[kWidth];
    load(a + column, left);
    load(b + column, right);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) sum += left[i] * right[i];
  }
  return warp_sum(sum);
}

// y = sum_r weights[r] x_r, by the whole block.
template <int kWidth>
__device__ void weighted_sum(const CSpan& x, const float* weights, const Rows& rows, float* y) {
  __shared__ __align__(16) float sums[kWarps][kWarp * kWidth];
  for (int64_t begin = 0; begin < x.cols; begin += kWarp * kWidth) {
    const int64_t column = begin + lane() * kWidth;
    float total[kWidth] = {};
    if (column < x.cols) {
#pragma unroll 4
      for (int64_t r = rows.begin + warp(); r < rows.end; r += kWarps) {
        float value[kWidth];
        load(row_of<float>(x, r) + column, value);
#pragma unroll
        for (int i = 0; i < kWidth; ++i) total[i] += weights[r] * value[i];
      }
    }
#pragma unroll
    for (int i = 0; i < kWidth; ++i) sums[warp()][lane() * kWidth + i] = total[i];
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kWarp * kWidth && begin + i < x.cols; i += kBlock) {
      float sum = sums[0][i];
#pragma unroll
      for (int w = 1; w < kWarps; ++w) sum += sums[w][i];
      y[begin + i] = sum;
    }
    __syncthreads();
  }
}

// The sum of what each warp's lanes all have, in every thread.
__device__ float sum_of_warps(float value) {
  __shared__ float partial[kWarps];
  if (lane() == 0) partial[warp()] = value;
  __syncthreads();
  float total = partial[0];
#pragma unroll
  for (int w = 1; w < kWarps; ++w) total += partial[w];
  return total;
}

template <int kWidth>
__global__ void __launch_bounds__(kBlock) parametric_attention_forward_kernel(ParametricAttentionForward a) {
  const int64_t segment = blockIdx.x;
  const Rows rows = rows_of(a.first, segment);
  float* const weights = row_of<float>(a.weights, 0);
  float sum = 0;
  for (int64_t r = rows.begin + warp(); r < rows.end; r += kWarps) {
    const float logit = dot<kWidth>(row_of<float>(a.keys, r), row_of<float>(a.query, 0), a.x.cols);
    const float e = expf(fminf(fmaxf(logit, -kClip), kClip));
    sum += e;
    if (lane() == 0) weights[r] = e;
  }
  const float factor = 1.0f / sum_of_warps(sum);
  for (int64_t r = rows.begin + threadIdx.x; r < rows.end; r += kBlock) weights[r] *= factor;
  __syncthreads();
  weighted_sum<kWidth>(a.x, weights, rows, row_of<float>(a.y, segment));
}

// dlogits: f32 [rows]; dquery: f32 [segments, cols], each segment's part.
template <int kWidth>
__global__ void __launch_bounds__(kBlock)
    parametric_attention_backward_kernel(ParametricAttentionBackward a, float* dlogits, Span dquery) {
  const int64_t segment = blockIdx.x, cols = a.x.cols;
  const Rows rows = rows_of(a.first, segment);
  const float *weights = row_of<float>(a.weights, 0), *query = row_of<float>(a.query, 0);
  const float* dy = row_of<float>(a.dy, segment);
  float sum = 0;
  for (int64_t r = rows.begin + warp(); r < rows.end; r += kWarps) {
    const float e = dot<kWidth>(row_of<float>(a.x, r), dy, cols);
    sum += weights[r] * e;
    if (lane() == 0) dlogits[r] = e;
  }
  const float mean = sum_of_warps(sum);
  for (int64_t r = rows.begin + threadIdx.x; r < rows.end; r += kBlock) dlogits[r] = weights[r] * (dlogits[r] - mean);
  __syncthreads();
  const bool separate = a.dkeys.data != nullptr;
  for (int64_t r = rows.begin + warp(); r < rows.end; r += kWarps) {
    for (int64_t column = lane() * kWidth; column < cols; column += kWarp * kWidth) {
      float dvalue[kWidth], dkey[kWidth];
      load(dy + column, dvalue);
      load(query + column, dkey);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        dkey[i] *= dlogits[r];
        dvalue[i] = weights[r] * dvalue[i] + (separate ? 0.0f : dkey[i]);
      }
      store(dvalue, row_of<float>(a.dx, r) + column);
      if (separate) store(dkey, row_of<float>(a.dkeys, r) + column);
    }
  }
  weighted_sum<kWidth>(a.keys, dlogits, rows, row_of<float>(dquery, segment));
}

}  // namespace

void parametric_attention_forward(Stream& s, const ParametricAttentionForward& a) {
  const bool wide = a.x.cols % kWide == 0 && vectors_fit(kWide, a.x, a.keys, a.query);
  launch(s, wide ? parametric_attention_forward_kernel<kWide> : parametric_attention_forward_kernel<1>,
         {.grid = blocks_for(a.y.rows, 1), .block = kBlock}, a);
}

void parametric_attention_backward(Stream& s, const ParametricAttentionBackward& a) {
  const Scratch scratch(s);
  const Span dlogits = s.arena().take(DType::f32, a.x.rows), dquery = s.arena().take(DType::f32, a.dy.rows, a.x.cols);
  const bool wide = a.x.cols % kWide == 0 && vectors_fit(kWide, a.dx, a.dkeys, a.dy, a.x, a.keys, a.query);
  launch(s, wide ? parametric_attention_backward_kernel<kWide> : parametric_attention_backward_kernel<1>,
         {.grid = blocks_for(a.dy.rows, 1), .block = kBlock}, a, static_cast<float*>(dlogits.data), dquery);
  add_column_sums(s, {.first = a.dquery, .x = dquery});
}

}  // namespace aid::cuda
