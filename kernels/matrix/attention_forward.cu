// Attention forward: a block owns some queries and passes over the keys of their sequence with a running maximum and
// sum for each query (FlashAttention-2, Dao 2023, algorithm 1). See attention_device.cuh.
#include "kernels/matrix/attention_launch.cuh"

namespace aid::cuda {

template <class T>
struct ForwardArguments {
  AttentionArguments common;
  HeadMatrix<T> out;
  HeadMatrix<const T> q, k, v;
  float* lse;  // null in inference
  int64_t lse_stride;
};

// Tiles: of keys and values, in two stages.
template <class Tiles>
struct ForwardShared : SharedPieces {
  Piece q, tiles, scratch, keep;

  __host__ __device__ ForwardShared(int rows, bool dropout)
      : q(take(Tiles::tile_bytes(rows), 1)),
        tiles(take(Tiles::tile_bytes(Tiles::kColumns), 4)),
        scratch(take(Tiles::scratch_bytes(rows), 1)),
        keep(take(dropout ? KeepTile::size(rows) : 0, 2)) {}
};

template <class Tiles>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    attention_forward_kernel(const ForwardArguments<typename Tiles::Element> arguments) {
  const AttentionArguments& a = arguments.common;
  const int sequence = blockIdx.x / a.tiles, head = blockIdx.y, rows = blockDim.x / kWarp * Tiles::kWarpRows;
  const int first = blockIdx.x % a.tiles * rows;
  const Range queries = range_of(a.cu_q, sequence), keys = range_of(a.cu_k, sequence);
  if (first >= queries.size) return;

  extern __shared__ __align__(128) unsigned char shared[];
  const ForwardShared<Tiles> at(rows, a.dropout.on);
  const Tiles tiles(a, shared + at.scratch[0]);
  const auto k = head_rows(arguments.k, a, keys, head), v = head_rows(arguments.v, a, keys, head);
  const auto keep_tile = [&](int group) { return KeepTile{shared + at.keep[group % 2], rows}; };

  // Gets a tile of keys, and what dropout says of them, on their way.
  const auto prepare = [&](int tile) {
    const int key = tile * Tiles::kColumns;
    Tiles::load(shared + at.tiles[tile % 2 * 2], Tiles::kColumns, k.from(key));
    Tiles::load(shared + at.tiles[tile % 2 * 2 + 1], Tiles::kColumns, v.from(key));
    copy_async_commit();
    if (a.dropout.on && key % KeepTile::kKeys == 0) {
      const int group = key / KeepTile::kKeys;
      keep_tile(group).fill(a, head, queries.begin + first, queries.size - first, group);
    }
  };

  float maximum[Tiles::kThreadRows], sum[Tiles::kThreadRows];  // of scale * s; of this thread's columns
#pragma unroll
  for (int i = 0; i < Tiles::kThreadRows; ++i) {
    maximum[i] = -INFINITY;
    sum[i] = 0;
  }
  typename Tiles::Output out;
  const bool idle = first + tiles.first_row >= queries.size;  // a warp without queries only helps to copy

  Tiles::load(shared + at.q[0], rows, head_rows(arguments.q, a, queries, head).from(first));
  prepare(0);
  const int count = (keys.size + Tiles::kColumns - 1) / Tiles::kColumns;
  for (int tile = 0; tile < count; ++tile) {
    copy_async_wait<0>();
    __syncthreads();  // this tile is there, and nobody reads the one before it any more
    if (tile + 1 < count) prepare(tile + 1);
    if (idle) continue;

    typename Tiles::Scores s;
    tiles.multiply_transposed(s, shared + at.q[0], shared + at.tiles[tile % 2 * 2]);
    const int valid = keys.size - tile * Tiles::kColumns;
    if (valid < Tiles::kColumns) {
#pragma unroll
      for (int j = 0; j < Tiles::kThreadColumns; ++j) {
        if (tiles.column(j) < valid) continue;
#pragma unroll
        for (int i = 0; i < Tiles::kThreadRows; ++i) s.at(i, j) = -INFINITY;
      }
    }
#pragma unroll
    for (int i = 0; i < Tiles::kThreadRows; ++i) {
      float largest = s.at(i, 0);
#pragma unroll
      for (int j = 1; j < Tiles::kThreadColumns; ++j) largest = fmaxf(largest, s.at(i, j));
      const float before = maximum[i];
      maximum[i] = fmaxf(before, max_over_row<Tiles::kRowLanes>(largest) * a.scale);
      const float shrink = exp_difference(before, 1, maximum[i]);
      sum[i] *= shrink;
      out.scale_row(i, shrink);
#pragma unroll
      for (int j = 0; j < Tiles::kThreadColumns; ++j) {
        s.at(i, j) = exp_difference(s.at(i, j), a.scale, maximum[i]);
        sum[i] += s.at(i, j);
      }
    }
    if (a.dropout.on) {
      const int key = tile * Tiles::kColumns;
      keep_tile(key / KeepTile::kKeys).for_dropped_keys(tiles, key, [&](int i, int j) { s.at(i, j) = 0; });
    }
    tiles.multiply_add(out, s, shared + at.tiles[tile % 2 * 2 + 1]);
  }
  if (idle) return;

#pragma unroll
  for (int i = 0; i < Tiles::kThreadRows; ++i) {
    sum[i] = sum_over_row<Tiles::kRowLanes>(sum[i]);
    out.scale_row(i, a.dropout.scale / sum[i]);
    const int query = first + tiles.row(i);
    if (arguments.lse != nullptr && tiles.lane % Tiles::kRowLanes == 0 && query < queries.size) {
      arguments.lse[(queries.begin + query) * arguments.lse_stride + head] = maximum[i] + logf(sum[i]);
    }
  }
  tiles.store(head_rows(arguments.out, a, queries, head).from(first), out, shared + at.q[0]);
}

template <class Tiles>
static void launch_forward(Stream& s, const AttentionForward& a, const AttentionShape& shape) {
  using T = typename Tiles::Element;
  const AttentionBlocks blocks = blocks_of<Tiles>(a, shape.longest_q);
  const ForwardArguments<T> arguments = {.common = common_arguments(a, blocks, {a.out, a.q, a.k, a.v}),
                                         .out = head_matrix<T>(a.out),
                                         .q = head_matrix<const T>(a.q),
                                         .k = head_matrix<const T>(a.k),
                                         .v = head_matrix<const T>(a.v),
                                         .lse = a.lse.empty() ? nullptr : a.lse.as<float>(),
                                         .lse_stride = a.lse.stride};
  const ForwardShared<Tiles> shared(blocks.rows, a.dropout.on());
  launch(s, attention_forward_kernel<Tiles>, {blocks.grid(), blocks.threads, shared.size()}, arguments);
}

template <class T, int kDim>
using ForwardMma = MmaTiles<T, kDim, 2, kDim <= 64 ? 64 : 32>;

void attention_forward(Stream& s, const AttentionForward& a, const AttentionShape& shape) {
  with_tiles<ForwardMma>(a.q.dtype, shape.head_dim,
                         [&]<class Tiles>(std::type_identity<Tiles>) { launch_forward<Tiles>(s, a, shape); });
}

}  // namespace aid::cuda
