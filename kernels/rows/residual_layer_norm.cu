// Equations: residual_layer_norm.h. A warp (up to 1,024 columns) or a block has a row in its registers: every operand
// is read once and written once. Backward: a block goes over 16 to 64 rows and keeps their sums of dgamma and dbeta in
// registers; the blocks' sums are added in a second, small kernel.
#include "kernels/rows/residual_layer_norm.h"

#include "kernels/device/column_sums.cuh"
#include "kernels/device/layer_norm_row.cuh"

namespace aid::cuda {
namespace {

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kBlock)
    residual_layer_norm_forward_kernel(ResidualLayerNormForward a, DropoutKernel dropout) {
  __shared__ RowSum<Tile> sum;
  const int cols = static_cast<int>(a.delta.cols);
  const int64_t row = int64_t{blockIdx.x} * Tile::kRows + threadIdx.x / Tile::kThreads;
  if (row >= a.delta.rows) return;  // a whole warp, or nobody of a block
  DropoutMask mask(dropout, dropout.on ? row_of<int32_t>(a.row_ids, 0)[row] : 0);
  typename Tile::Values z, x;
  Tile::load_row(row_of<T>(a.delta, row), cols, z);
  const bool residual = a.x.data != nullptr;
  if (residual) Tile::load_row(row_of<T>(a.x, row), cols, x);
  Tile::for_each(cols, [&](int chunk, int column, bool inside) {
    if (dropout.on) mask.apply(column, z[chunk]);
    if (!inside) return;
#pragma unroll
    for (int i = 0; i < Tile::kWidth; ++i) z[chunk][i] += residual ? x[chunk][i] : 0.0f;
    if (a.z.data != nullptr) store(z[chunk], row_of<T>(a.z, row) + column);
  });
  const RowStatistics statistics = row_statistics<Tile>(z, cols, a.eps, sum);
  normalise<Tile>(z, row_of<float>(a.gamma, 0), row_of<float>(a.beta, 0), cols, statistics);
  Tile::for_each(cols, [&](int chunk, int column, bool inside) {
    if (inside) store(z[chunk], row_of<T>(a.y, row) + column);
  });
  if (threadIdx.x % Tile::kThreads != 0) return;
  if (a.mean.data != nullptr) row_of<float>(a.mean, 0)[row] = statistics.mean;
  if (a.rstd.data != nullptr) row_of<float>(a.rstd, 0)[row] = statistics.rstd;
}

// partial: f32 [blocks, 2 cols]
template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kBlock)
    residual_layer_norm_backward_kernel(ResidualLayerNormBackward a, DropoutKernel dropout, float* partial,
                                        int64_t rows_of_block) {
  extern __shared__ __align__(16) float block_sums[];
  __shared__ RowSum<Tile> sum;
  const int cols = static_cast<int>(a.dy.cols);
  const int64_t begin = blockIdx.x * rows_of_block;
  const int64_t end = begin + rows_of_block < a.dy.rows ? begin + rows_of_block : a.dy.rows;
  ParameterSums<Tile> sums;
  for (int64_t row = begin + threadIdx.x / Tile::kThreads; row < end; row += Tile::kRows) {
    typename Tile::Values d, z;
    Tile::load_row(row_of<T>(a.dy, row), cols, d);
    Tile::load_row(row_of<T>(a.z, row), cols, z);
    if (a.dy2.data != nullptr) Tile::add_row(row_of<T>(a.dy2, row), cols, d);
    layer_norm_backward_row<Tile>(d, z, row_of<float>(a.gamma, 0), cols,
                                  {row_of<float>(a.mean, 0)[row], row_of<float>(a.rstd, 0)[row]}, sums, sum);
    DropoutMask mask(dropout, dropout.on ? row_of<int32_t>(a.row_ids, 0)[row] : 0);
    Tile::for_each(cols, [&](int chunk, int column, bool inside) {
      if (inside) store(d[chunk], row_of<T>(a.dx, row) + column);
      if (dropout.on) mask.apply(column, d[chunk]);
      if (inside && a.ddelta.data != nullptr) store(d[chunk], row_of<T>(a.ddelta, row) + column);
    });
  }
  write_parameter_sums<Tile>(sums, cols, block_sums, partial + int64_t{blockIdx.x} * 2 * cols);
}

}  // namespace

void residual_layer_norm_forward(Stream& s, const ResidualLayerNormForward& a) {
  with_float_type(a.delta.dtype, [&]<class T>(T) {
    const bool wide = a.delta.cols % kRowWidth == 0 && vectors_fit(kRowWidth, a.y, a.z, a.x, a.delta, a.gamma, a.beta);
    with_row_tile(a.delta.cols, wide, [&]<class Tile>(Tile) {
      launch(s, residual_layer_norm_forward_kernel<T, Tile>,
             {.grid = blocks_for(a.delta.rows, Tile::kRows), .block = Tile::kBlock}, a, DropoutKernel(a.dropout));
    });
  });
}

void residual_layer_norm_backward(Stream& s, const ResidualLayerNormBackward& a) {
  const Scratch scratch(s);
  const int64_t cols = a.dy.cols, rows_of_block = rows_per_sum(a.dy.rows);
  const Span partial = s.arena().take(DType::f32, blocks_for(a.dy.rows, rows_of_block), 2 * cols);
  with_float_type(a.dy.dtype, [&]<class T>(T) {
    const bool wide =
        cols % kRowWidth == 0 && vectors_fit(kRowWidth, a.dx, a.ddelta, a.dy, a.dy2, a.z, a.gamma, partial);
    with_row_tile(cols, wide, [&]<class Tile>(Tile) {
      launch(s, residual_layer_norm_backward_kernel<T, Tile>,
             {.grid = static_cast<unsigned>(partial.rows),
              .block = Tile::kBlock,
              .shared = Tile::kRows > 1 ? static_cast<size_t>(2 * cols) * sizeof(float) : 0},
             a, DropoutKernel(a.dropout), static_cast<float*>(partial.data), rows_of_block);
    });
  });
  add_column_sums(s, {.first = a.dgamma, .second = a.dbeta, .x = partial});
}

}  // namespace aid::cuda
