// Equations: embedding_layer_norm.h. Forward and dz: a row is in the registers of a warp or block, as in
// residual_layer_norm.cu.
#include "kernels/lookup/embedding_layer_norm.h"

#include "kernels/device/column_sums.cuh"
#include "kernels/device/layer_norm_row.cuh"

namespace aid::cuda {
namespace {

// The three rows whose sum is a token's z; type is null without token types.
struct EmbeddingRows {
  const float *word, *position, *type;

  template <class Tile>
  __device__ void sum(int cols, typename Tile::Values& z) const {
    Tile::load_row(word, cols, z);
    Tile::add_row(position, cols, z);
    if (type != nullptr) Tile::add_row(type, cols, z);
  }
};

template <class Args>
__device__ EmbeddingRows embedding_rows(const Args& a, int64_t token) {
  const int32_t type = a.types.data == nullptr ? 0 : row_of<int32_t>(a.types, 0)[token];
  return {row_of<float>(a.tables.word, row_of<int32_t>(a.ids, 0)[token]),
          row_of<float>(a.tables.position, row_of<int32_t>(a.positions, 0)[token]),
          a.tables.type.data == nullptr ? nullptr : row_of<float>(a.tables.type, type)};
}

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kBlock)
    embedding_layer_norm_forward_kernel(EmbeddingLayerNormForward a, DropoutKernel dropout) {
  __shared__ RowSum<Tile> sum;
  const int cols = static_cast<int>(a.y.cols);
  const int64_t token = int64_t{blockIdx.x} * Tile::kRows + threadIdx.x / Tile::kThreads;
  if (token >= a.y.rows) return;  // a whole warp, or nobody of a block
  const EmbeddingRows rows = embedding_rows(a, token);
  typename Tile::Values z;
  rows.sum<Tile>(cols, z);
  const RowStatistics statistics = row_statistics<Tile>(z, cols, a.eps, sum);
  DropoutMask mask(dropout, dropout.on ? row_of<int32_t>(a.row_ids, 0)[token] : 0);
  normalise<Tile>(z, row_of<float>(a.gamma, 0), row_of<float>(a.beta, 0), cols, statistics);
  Tile::for_each(cols, [&](int chunk, int column, bool inside) {
    if (dropout.on) mask.apply(column, z[chunk]);
    if (inside) store(z[chunk], row_of<T>(a.y, token) + column);
  });
  if (threadIdx.x % Tile::kThreads != 0) return;
  if (a.mean.data != nullptr) row_of<float>(a.mean, 0)[token] = statistics.mean;
  if (a.rstd.data != nullptr) row_of<float>(a.rstd, 0)[token] = statistics.rstd;
}

// dz: f32 [tokens, cols]; partial: f32 [blocks, 2 cols]
template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kBlock)
    embedding_layer_norm_backward_kernel(EmbeddingLayerNormBackward a, DropoutKernel dropout, Span dz, float* partial,
                                         int64_t tokens_of_block) {
  extern __shared__ __align__(16) float block_sums[];
  __shared__ RowSum<Tile> sum;
  const int cols = static_cast<int>(a.dy.cols);
  const int64_t begin = blockIdx.x * tokens_of_block;
  const int64_t end = begin + tokens_of_block < a.dy.rows ? begin + tokens_of_block : a.dy.rows;
  ParameterSums<Tile> sums;
  for (int64_t token = begin + threadIdx.x / Tile::kThreads; token < end; token += Tile::kRows) {
    const EmbeddingRows rows = embedding_rows(a, token);
    DropoutMask mask(dropout, dropout.on ? row_of<int32_t>(a.row_ids, 0)[token] : 0);
    typename Tile::Values d, z;
    Tile::load_row(row_of<T>(a.dy, token), cols, d);
    rows.sum<Tile>(cols, z);
    if (a.dy2.data != nullptr) Tile::add_row(row_of<T>(a.dy2, token), cols, d);
    if (dropout.on) Tile::for_each(cols, [&](int chunk, int column, bool) { mask.apply(column, d[chunk]); });
    layer_norm_backward_row<Tile>(d, z, row_of<float>(a.gamma, 0), cols,
                                  {row_of<float>(a.mean, 0)[token], row_of<float>(a.rstd, 0)[token]}, sums, sum);
    Tile::for_each(cols, [&](int chunk, int column, bool inside) {
      if (inside) store(d[chunk], row_of<float>(dz, token) + column);
    });
  }
  write_parameter_sums<Tile>(sums, cols, block_sums, partial + int64_t{blockIdx.x} * 2 * cols);
}

}  // namespace

void embedding_layer_norm_forward(Stream& s, const EmbeddingLayerNormForward& a) {
  with_float_type(a.y.dtype, [&]<class T>(T) {
    const bool wide = a.y.cols % kRowWidth == 0 &&
                      vectors_fit(kRowWidth, a.y, a.tables.word, a.tables.position, a.tables.type, a.gamma, a.beta);
    with_row_tile(a.y.cols, wide, [&]<class Tile>(Tile) {
      launch(s, embedding_layer_norm_forward_kernel<T, Tile>,
             {.grid = blocks_for(a.y.rows, Tile::kRows), .block = Tile::kBlock}, a, DropoutKernel(a.dropout));
    });
  });
}

void embedding_layer_norm_backward(Stream& s, const EmbeddingLayerNormBackward& a, const Span& dz) {
  const Scratch scratch(s);
  const int64_t cols = a.dy.cols, tokens_of_block = rows_per_sum(a.dy.rows);
  const Span partial = s.arena().take(DType::f32, blocks_for(a.dy.rows, tokens_of_block), 2 * cols);
  with_float_type(a.dy.dtype, [&]<class T>(T) {
    const bool wide = cols % kRowWidth == 0 && vectors_fit(kRowWidth, a.dy, a.dy2, dz, a.tables.word, a.tables.position,
                                                           a.tables.type, a.gamma, partial);
    with_row_tile(cols, wide, [&]<class Tile>(Tile) {
      launch(s, embedding_layer_norm_backward_kernel<T, Tile>,
             {.grid = static_cast<unsigned>(partial.rows),
              .block = Tile::kBlock,
              .shared = Tile::kRows > 1 ? static_cast<size_t>(2 * cols) * sizeof(float) : 0},
             a, DropoutKernel(a.dropout), dz, static_cast<float*>(partial.data), tokens_of_block);
    });
  });
  add_column_sums(s, {.first = a.dgamma, .second = a.dbeta, .x = partial});
}

}  // namespace aid::cuda
