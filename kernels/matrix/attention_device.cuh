// What attention's CUDA kernels have in common. All three follow FlashAttention-2 (Dao 2023): a block owns some rows
// (forward and dQ: queries; dK and dV: keys) of one head of one sequence and passes over the other side in tiles, which
// come through two buffers by asynchronous copies: one is filled while the other is multiplied. S and P never leave the
// registers. Every sum has one owner and one order: no atomics, the same bits in every run.
//
// Counted on a software GPU (bf16, heads 64 wide, one sequence of 128): every access to shared memory takes its fewest
// passes and every vector its fewest sectors; q, k, v and out cross the bus once. A longer sequence reads its keys and
// values once for each 128 queries. Forward executes 29 instructions for an element of S, 50 with dropout.
//
// The arithmetic of tiles is one of two types with the same members: attention_mma.cuh (tensor cores, 16-bit
// elements, heads up to 128 wide) and attention_fma.cuh (f32 arithmetic: f32 elements, and wider heads).
#pragma once

#include "kernels/device/mma.cuh"
#include "kernels/device/philox.cuh"
#include "kernels/device/vector.cuh"
#include "kernels/matrix/attention.h"

namespace aid::cuda {

// 2^x within 2 ulp; results below 2^-126 are 0 (PTX ISA 9.7.3.21, ex2). The exponents here are at most about 0, where
// exp2f's care for denormal results only costs time.
__device__ inline float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// A matrix whose rows hold the heads side by side.
template <class T>
struct HeadMatrix {
  T* data;
  int64_t stride;
};

// One head of some rows of it.
template <class T>
struct HeadRows {
  T* data;
  int stride;  // of 32 bits: a tile's offsets fit, and registers are what limits these kernels
  int rows, columns;
  bool vectors;  // every row can be read and written in aligned pieces of 16 bytes

  __device__ HeadRows from(int first) const {
    return {data + int64_t{first} * stride, stride, rows - first, columns, vectors};
  }
};

// e^(scale * score - shift). The difference is rounded where it is small, before it goes over to powers of two:
// rounding shift / ln 2, which may be many times the difference, would put an error on a whole row of P.
__device__ inline float exp_difference(float score, float scale, float shift) {
  constexpr float kLog2E = 1.44269504088896f;
  return exp2_approximate(fmaf(score, scale, -shift) * kLog2E);
}

// What every kernel is told.
struct AttentionArguments {
  const int32_t *cu_q, *cu_k;
  int head_dim;
  int tiles;     // blocks for the longest sequence
  bool vectors;  // see HeadRows; of all operands
  float scale;
  DropoutKernel dropout;
  const int32_t* row_ids;  // read with dropout only
};

// The rows [begin, begin + size) of one sequence.
struct Range {
  int begin, size;
};
__device__ inline Range range_of(const int32_t* cumulative, int sequence) {
  return {cumulative[sequence], cumulative[sequence + 1] - cumulative[sequence]};
}

template <class T>
__device__ HeadRows<T> head_rows(const HeadMatrix<T>& m, const AttentionArguments& a, Range range, int head) {
  return {m.data + range.begin * m.stride + head * a.head_dim, static_cast<int>(m.stride), range.size, a.head_dim,
          a.vectors};
}

// Dropout's decisions for a tile of queries and a group of 128 neighbouring keys, which is what 16 Philox blocks a
// query decide: bit n of byte [lane][query] is set when key 16 n + lane of the group is kept. In shared memory, since
// the thread that needs a decision is rarely one that needs the seven others of its block. The pitch keeps the reads of
// both kinds of tiles free of bank conflicts.
struct KeepTile {
  static constexpr int kKeys = 128, kLanes = 16;

  uint8_t* bytes;
  int queries;

  __host__ __device__ static constexpr int size(int queries) { return kLanes * (queries + 8); }
  __device__ uint8_t& at(int lane, int query) const { return bytes[lane * (queries + 8) + query]; }

  // Every thread of the block decides some, one query's; `valid` of the queries exist. The block's threads are a
  // multiple of the queries.
  __device__ void fill(const AttentionArguments& a, int head, int first_token, int valid, int group) const {
    const DropoutKernel& d = a.dropout;
    const int query = threadIdx.x % queries;
    const uint32_t row = query < valid ? static_cast<uint32_t>(a.row_ids[first_token + query]) : 0;
    for (int lane = threadIdx.x / queries; lane < kLanes; lane += blockDim.x / queries) {
      const auto element = static_cast<uint32_t>(group * kLanes + lane);
      const auto words = philox::block({element, row, d.site << 8 | static_cast<uint32_t>(head), d.step}, d.seed);
      uint32_t keep = 0;
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const uint32_t bits = n % 2 != 0 ? words[n / 2] >> 16 : words[n / 2] & 0xffffu;
        keep |= static_cast<uint32_t>(bits >= d.threshold) << n;
      }
      at(lane, query) = static_cast<uint8_t>(keep);
    }
  }

  // f(i, j) for each element of Scores that is dropped, where rows are the queries and columns the keys behind
  // first_key.
  template <class Tiles, class F>
  __device__ void for_dropped_keys(const Tiles& tiles, int first_key, const F& f) const {
#pragma unroll
    for (int i = 0; i < Tiles::kThreadRows; ++i) {
#pragma unroll
      for (int j = 0; j < Tiles::kColumnPeriod; ++j) {
        const int keep = at(tiles.column(j), tiles.row(i)) >> first_key % kKeys / kLanes;
#pragma unroll
        for (int n = 0; n < Tiles::kThreadColumns / Tiles::kColumnPeriod; ++n) {
          if ((keep >> n & 1) == 0) f(i, j + n * Tiles::kColumnPeriod);
        }
      }
    }
  }
  // The same where rows are the keys behind first_key and columns the queries.
  template <class Tiles, class F>
  __device__ void for_dropped_queries(const Tiles& tiles, int first_key, const F& f) const {
#pragma unroll
    for (int i = 0; i < Tiles::kRowPeriod; ++i) {
      const int key = first_key % kKeys + tiles.row(i);
#pragma unroll
      for (int j = 0; j < Tiles::kThreadColumns; ++j) {
        const int keep = at(key % kLanes, tiles.column(j)) >> key / kLanes;
#pragma unroll
        for (int n = 0; n < Tiles::kThreadRows / Tiles::kRowPeriod; ++n) {
          if ((keep >> n & 1) == 0) f(i + n * Tiles::kRowPeriod, j);
        }
      }
    }
  }
};

// Sums or maxima over the threads that share a row of a tile: kLanes neighbouring lanes.
template <int kLanes>
__device__ float sum_over_row(float x) {
#pragma unroll
  for (int lane = 1; lane < kLanes; lane *= 2) x += __shfl_xor_sync(kAllLanes, x, lane);
  return x;
}
template <int kLanes>
__device__ float max_over_row(float x) {
#pragma unroll
  for (int lane = 1; lane < kLanes; lane *= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, lane));
  return x;
}

// Cuts a block's dynamic shared memory into pieces, in the same way on the host, which only wants the size.
struct SharedPieces {
  // Equal pieces behind each other: offsets by index.
  struct Piece {
    int first, pitch;
    __device__ int operator[](int index) const { return first + index * pitch; }
  };

  int bytes = 0;

  size_t size() const { return static_cast<size_t>(bytes); }
  __host__ __device__ Piece take(int size, int count) {
    constexpr int kAllBanks = 128;
    const Piece piece = {bytes, (size + kAllBanks - 1) / kAllBanks * kAllBanks};
    bytes += piece.pitch * count;
    return piece;
  }
};

}  // namespace aid::cuda
