// Attention backward in two kernels that compute P again from the saved log-sums (FlashAttention-2, Dao 2023, algorithm
// 2, without its atomics): the first gives each block some queries and passes over the keys: dQ, and the sums D; the
// second gives each block some keys and passes over the queries: dK and dV. That makes seven products where one kernel
// would make five, and needs neither atomics nor a partial dQ for each tile of keys. See attention_device.cuh.
#include "kernels/matrix/attention_launch.cuh"

namespace aid::cuda {

// What a query's row of P and dS is made from: p = exp(scale * s - lse), ds = p (dp - dot).
struct QueryStatistics {
  float lse;
  float dot;  // D: dout·out
};

template <class T>
struct BackwardArguments {
  AttentionArguments common;
  HeadMatrix<T> dq, dk, dv;
  HeadMatrix<const T> dout, out, q, k, v;
  const float* lse;
  int64_t lse_stride;
  QueryStatistics* statistics;  // [heads][tokens], written with dQ
  int64_t tokens;
};

// Own: two tiles of rows (q, dout or k, v). Others: two tiles of columns (k, v or q, dout), in two stages.
template <class Tiles>
struct BackwardShared : SharedPieces {
  Piece own, others, scratch, statistics, keep;

  __host__ __device__ BackwardShared(int rows, int queries, bool dropout)
      : own(take(Tiles::tile_bytes(rows), 2)),
        others(take(Tiles::tile_bytes(Tiles::kColumns), 4)),
        scratch(take(Tiles::scratch_bytes(rows), 1)),
        statistics(take(queries * static_cast<int>(sizeof(QueryStatistics)), 2)),
        keep(take(dropout ? KeepTile::size(queries) : 0, 2)) {}
};

// The statistics of a warp's queries, of those behind `dout`'s end zeros; eight lanes a query.
template <class Tiles, class T>
__device__ void query_statistics(const Tiles& tiles, const HeadRows<const T>& dout, const HeadRows<const T>& out,
                                 const float* lse, int64_t lse_stride, QueryStatistics* shared,
                                 QueryStatistics* global) {
  constexpr int kElements = 16 / sizeof(T);
  for (int r = tiles.lane / 8; r < Tiles::kWarpRows; r += 4) {
    const int query = tiles.first_row + r;
    const bool there = query < dout.rows;
    float dot = 0;
    for (int column = tiles.lane % 8 * kElements; there && column < dout.columns; column += 8 * kElements) {
      const T *x = dout.data + query * dout.stride + column, *y = out.data + query * out.stride + column;
      if (dout.vectors) {
        float xs[kElements], ys[kElements];
        load(x, xs);
        load(y, ys);
#pragma unroll
        for (int e = 0; e < kElements; ++e) dot = fmaf(xs[e], ys[e], dot);
      } else {
        for (int e = 0; e < min(kElements, dout.columns - column); ++e) dot = fmaf(to_float(x[e]), to_float(y[e]), dot);
      }
    }
    dot = sum_over_row<8>(dot);
    if (tiles.lane % 8 != 0) continue;
    const QueryStatistics statistics = {there ? lse[query * lse_stride] : 0, dot};
    shared[query] = statistics;
    if (there) global[query] = statistics;
  }
  __syncwarp();
}

// Registers as for so many blocks of a multiprocessor: what shared memory allows too, and few enough that none spill.
template <class Tiles>
__global__ void __launch_bounds__(kAttentionThreads, Tiles::kHeadDim == 64 ? 3 : 2)
    attention_backward_q_kernel(const BackwardArguments<typename Tiles::Element> arguments) {
  const AttentionArguments& a = arguments.common;
  const int sequence = blockIdx.x / a.tiles, head = blockIdx.y, rows = blockDim.x / kWarp * Tiles::kWarpRows;
  const int first = blockIdx.x % a.tiles * rows;
  const Range queries = range_of(a.cu_q, sequence), keys = range_of(a.cu_k, sequence);
  if (first >= queries.size) return;

  extern __shared__ __align__(128) unsigned char shared[];
  const BackwardShared<Tiles> at(rows, rows, a.dropout.on);
  const Tiles tiles(a, shared + at.scratch[0]);
  const auto k = head_rows(arguments.k, a, keys, head), v = head_rows(arguments.v, a, keys, head);
  const auto dout = head_rows(arguments.dout, a, queries, head).from(first);
  const auto keep_tile = [&](int group) { return KeepTile{shared + at.keep[group % 2], rows}; };

  const auto prepare = [&](int tile) {
    const int key = tile * Tiles::kColumns;
    Tiles::load(shared + at.others[tile % 2 * 2], Tiles::kColumns, k.from(key));
    Tiles::load(shared + at.others[tile % 2 * 2 + 1], Tiles::kColumns, v.from(key));
    copy_async_commit();
    if (a.dropout.on && key % KeepTile::kKeys == 0) {
      const int group = key / KeepTile::kKeys;
      keep_tile(group).fill(a, head, queries.begin + first, queries.size - first, group);
    }
  };

  Tiles::load(shared + at.own[0], rows, head_rows(arguments.q, a, queries, head).from(first));
  Tiles::load(shared + at.own[1], rows, dout);
  prepare(0);
  auto* statistics = reinterpret_cast<QueryStatistics*>(shared + at.statistics[0]);
  const int64_t token = queries.begin + first;
  query_statistics(tiles, dout, head_rows(arguments.out, a, queries, head).from(first),
                   arguments.lse + token * arguments.lse_stride + head, arguments.lse_stride, statistics,
                   arguments.statistics + head * arguments.tokens + token);

  typename Tiles::Output dq;
  const bool idle = tiles.first_row >= dout.rows;
  const int count = (keys.size + Tiles::kColumns - 1) / Tiles::kColumns;
  for (int tile = 0; tile < count; ++tile) {
    copy_async_wait<0>();
    __syncthreads();
    if (tile + 1 < count) prepare(tile + 1);
    if (idle) continue;

    const int key = tile * Tiles::kColumns;
    typename Tiles::Scores s, ds;
    tiles.multiply_transposed(s, shared + at.own[0], shared + at.others[tile % 2 * 2]);
    tiles.multiply_transposed(ds, shared + at.own[1], shared + at.others[tile % 2 * 2 + 1]);
    if (a.dropout.on)
      keep_tile(key / KeepTile::kKeys).for_dropped_keys(tiles, key, [&](int i, int j) { ds.at(i, j) = 0; });
#pragma unroll
    for (int i = 0; i < Tiles::kThreadRows; ++i) {
      const QueryStatistics query = statistics[tiles.row(i)];
#pragma unroll
      for (int j = 0; j < Tiles::kThreadColumns; ++j) {
        const float p = exp_difference(s.at(i, j), a.scale, query.lse);
        const float gradient = p * fmaf(ds.at(i, j), a.dropout.scale, -query.dot);
        ds.at(i, j) = key + tiles.column(j) < keys.size ? gradient : 0;
      }
    }
    tiles.multiply_add(dq, ds, shared + at.others[tile % 2 * 2]);
  }
  if (idle) return;
#pragma unroll
  for (int i = 0; i < Tiles::kThreadRows; ++i) dq.scale_row(i, a.scale);
  tiles.store(head_rows(arguments.dq, a, queries, head).from(first), dq, shared + at.own[0]);
}

// Rows are keys here and columns queries: S^T, P^T and dS^T.
template <class Tiles>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    attention_backward_kv_kernel(const BackwardArguments<typename Tiles::Element> arguments) {
  const AttentionArguments& a = arguments.common;
  const int sequence = blockIdx.x / a.tiles, head = blockIdx.y, rows = blockDim.x / kWarp * Tiles::kWarpRows;
  const int first = blockIdx.x % a.tiles * rows;
  const Range queries = range_of(a.cu_q, sequence), keys = range_of(a.cu_k, sequence);
  if (first >= keys.size) return;

  extern __shared__ __align__(128) unsigned char shared[];
  const BackwardShared<Tiles> at(rows, Tiles::kColumns, a.dropout.on);
  const Tiles tiles(a, shared + at.scratch[0]);
  const auto q = head_rows(arguments.q, a, queries, head), dout = head_rows(arguments.dout, a, queries, head);
  const QueryStatistics* statistics = arguments.statistics + head * arguments.tokens + queries.begin;
  const auto statistics_tile = [&](int tile) {
    return reinterpret_cast<QueryStatistics*>(shared + at.statistics[tile % 2]);
  };
  const auto keep_tile = [&](int tile) { return KeepTile{shared + at.keep[tile % 2], Tiles::kColumns}; };

  // A query behind the end is all zeros, and so is all that it adds.
  const auto prepare = [&](int tile) {
    const int query = tile * Tiles::kColumns, valid = queries.size - query;
    Tiles::load(shared + at.others[tile % 2 * 2], Tiles::kColumns, q.from(query));
    Tiles::load(shared + at.others[tile % 2 * 2 + 1], Tiles::kColumns, dout.from(query));
    if (const int i = threadIdx.x; i < Tiles::kColumns) {
      copy_async<8>(shared_address(statistics_tile(tile) + i), statistics + (i < valid ? query + i : 0),
                    i < valid ? 8 : 0);
    }
    copy_async_commit();
    if (a.dropout.on) {
      keep_tile(tile).fill(a, head, queries.begin + query, valid, first / KeepTile::kKeys);
    }
  };

  typename Tiles::Output dk, dv;
  const int count = (queries.size + Tiles::kColumns - 1) / Tiles::kColumns;
  const bool idle = first + tiles.first_row >= keys.size;
  if (count > 0) {
    Tiles::load(shared + at.own[0], rows, head_rows(arguments.k, a, keys, head).from(first));
    Tiles::load(shared + at.own[1], rows, head_rows(arguments.v, a, keys, head).from(first));
    prepare(0);
  }
  for (int tile = 0; tile < count; ++tile) {
    copy_async_wait<0>();
    __syncthreads();
    if (tile + 1 < count) prepare(tile + 1);
    if (idle) continue;

    typename Tiles::Scores p, ds;
    tiles.multiply_transposed(p, shared + at.own[0], shared + at.others[tile % 2 * 2]);
    tiles.multiply_transposed(ds, shared + at.own[1], shared + at.others[tile % 2 * 2 + 1]);
    const QueryStatistics* columns = statistics_tile(tile);
#pragma unroll
    for (int j = 0; j < Tiles::kThreadColumns; ++j) {
      const QueryStatistics query = columns[tiles.column(j)];
#pragma unroll
      for (int i = 0; i < Tiles::kThreadRows; ++i) {
        p.at(i, j) = exp_difference(p.at(i, j), a.scale, query.lse);
        ds.at(i, j) = p.at(i, j) * fmaf(ds.at(i, j), a.dropout.scale, -query.dot);
      }
    }
    if (a.dropout.on) {
      keep_tile(tile).for_dropped_queries(tiles, first, [&](int i, int j) {
        ds.at(i, j) = -p.at(i, j) * columns[tiles.column(j)].dot;
        p.at(i, j) = 0;
      });
    }
    tiles.multiply_add(dv, p, shared + at.others[tile % 2 * 2 + 1]);
    tiles.multiply_add(dk, ds, shared + at.others[tile % 2 * 2]);
  }
  if (idle) return;
#pragma unroll
  for (int i = 0; i < Tiles::kThreadRows; ++i) {
    dk.scale_row(i, a.scale);
    dv.scale_row(i, a.dropout.scale);
  }
  const Range again = range_of(a.cu_k, sequence);  // not kept in registers, of which the loop needs all
  tiles.store(head_rows(arguments.dk, a, again, head).from(first), dk, shared + at.own[0]);
  tiles.store(head_rows(arguments.dv, a, again, head).from(first), dv, shared + at.own[1]);
}

template <class Tiles>
static void launch_backward(Stream& s, const AttentionBackward& a, const AttentionShape& shape) {
  using T = typename Tiles::Element;
  const Arena::Mark mark = s.arena().mark();
  const Span statistics = s.arena().take(DType::f32, a.heads, a.q.rows * 2);
  const AttentionBlocks q_blocks = blocks_of<Tiles>(a, shape.longest_q),
                        kv_blocks = blocks_of<Tiles>(a, shape.longest_k);
  BackwardArguments<T> arguments = {
      .common = common_arguments(a, q_blocks, {a.dq, a.dk, a.dv, a.dout, a.out, a.q, a.k, a.v}),
      .dq = head_matrix<T>(a.dq),
      .dk = head_matrix<T>(a.dk),
      .dv = head_matrix<T>(a.dv),
      .dout = head_matrix<const T>(a.dout),
      .out = head_matrix<const T>(a.out),
      .q = head_matrix<const T>(a.q),
      .k = head_matrix<const T>(a.k),
      .v = head_matrix<const T>(a.v),
      .lse = a.lse.as<float>(),
      .lse_stride = a.lse.stride,
      .statistics = static_cast<QueryStatistics*>(statistics.data),
      .tokens = a.q.rows};
  const BackwardShared<Tiles> q_shared(q_blocks.rows, q_blocks.rows, a.dropout.on());
  launch(s, attention_backward_q_kernel<Tiles>, {q_blocks.grid(), q_blocks.threads, q_shared.size()}, arguments);
  arguments.common.tiles = kv_blocks.tiles;
  const BackwardShared<Tiles> kv_shared(kv_blocks.rows, Tiles::kColumns, a.dropout.on());
  launch(s, attention_backward_kv_kernel<Tiles>, {kv_blocks.grid(), kv_blocks.threads, kv_shared.size()}, arguments);
  s.arena().rewind(mark);
}

template <class T, int kDim>
using BackwardMma = MmaTiles<T, kDim, kDim <= 64 ? 2 : 1, 32>;

void attention_backward(Stream& s, const AttentionBackward& a, const AttentionShape& shape) {
  with_tiles<BackwardMma>(a.q.dtype, shape.head_dim,
                          [&]<class Tiles>(std::type_identity<Tiles>) { launch_backward<Tiles>(s, a, shape); });
}

}  // namespace aid::cuda
