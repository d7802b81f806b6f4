// A row in the registers of its threads: what residual_layer_norm.cu and embedding_layer_norm.cu share. The maths are
// in their headers. A warp takes a row of up to 1,024 columns, a block a longer one or one that no vectors fit; either
// way a thread holds at most kPerThread values of each operand, so a row is read from memory once and written once.
//   columns of thread t: chunk i has kWidth neighbouring ones from (i * kThreads + t) * kWidth, so that a warp's access
//   is one run of 32 kWidth elements
#pragma once

#include <algorithm>

#include "kernels/core/operands.h"
#include "kernels/device/philox.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {

inline constexpr int kRowBlock = 256;  // threads of the block that takes a long row
inline constexpr int kRowsAtOnce = 4;  // warps, a row each, of a block that takes short ones
inline constexpr int kMostPerThread = 32;
// Elements of a vector, whatever the rows' type: with more of them, a warp's access to f32 operands (gamma, beta, the
// tables, dz) would be two with gaps, each to all sectors.
inline constexpr int kRowWidth = 4;
static_assert(kRowBlock * kMostPerThread == kMaxRowColumns);

// kFull: rows have exactly as many columns as the tile, so that nothing branches.
template <int kThreads_, int kWidth_, int kPerThread_, bool kFull = false>
struct RowTile {
  static constexpr int kThreads = kThreads_, kWidth = kWidth_, kPerThread = kPerThread_;
  static constexpr int kChunks = kPerThread / kWidth;
  // Unrolled, values stay in registers. Rows that no vectors fit are rare: their values may lie in local memory, and
  // the code stays short.
  static constexpr int kUnroll = kWidth == 1 ? 1 : kChunks;
  static constexpr int kBlock = kThreads == kWarp ? kRowsAtOnce * kWarp : kThreads;
  static constexpr int kRows = kBlock / kThreads;  // that a block works on at once
  using Values = float[kChunks][kWidth];

  // The thread's values of a row. All of its loads are under way before one is waited for: nothing stands between them.
  template <class T>
  __device__ static void load_row(const T* row, int cols, Values& to) {
    const int thread = static_cast<int>(threadIdx.x) % kThreads;
#pragma unroll kUnroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int column = (chunk * kThreads + thread) * kWidth;
      if (kFull || column < cols) load(row + column, to[chunk]);
    }
  }
  // The same of another row, added. A block that takes a long row has no registers for one more; its many warps hide
  // each other's loads.
  template <class T>
  __device__ static void add_row(const T* row, int cols, Values& to) {
    constexpr bool kAtOnce = kThreads == kWarp;
    float more[kAtOnce ? kChunks : 1][kWidth];
    if constexpr (kAtOnce) load_row(row, cols, more);
    for_each(cols, [&](int chunk, int column, bool inside) {
      if (!inside) return;
      if constexpr (!kAtOnce) load(row + column, more[0]);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) to[chunk][i] += more[kAtOnce ? chunk : 0][i];
    });
  }

  // f(chunk, column, inside) for the thread's chunks. A warp calls it together, and leaves out chunks beyond the row.
  template <class F>
  __device__ static void for_each(int cols, F&& f) {
    const int thread = static_cast<int>(threadIdx.x) % kThreads;
#pragma unroll kUnroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int column = (chunk * kThreads + thread) * kWidth;
      if (!kFull && column - thread % kWarp * kWidth >= cols) break;
      f(chunk, column, kFull || column < cols);
    }
  }
};

// Sums over the threads of a row. Each sum of a row names another `slot`; a block that goes on to its next row has
// passed a barrier between a slot's uses where it uses two slots or more in turn.
template <class Tile>
struct RowSum {
  float partial[2][Tile::kBlock / kWarp];

  __device__ float operator()(float value, int slot) {
    if constexpr (Tile::kThreads == kWarp) {
      return warp_sum(value);
    } else {
      return block_sum<Tile::kThreads>(value, partial[slot]);
    }
  }
};

struct RowStatistics {
  float mean, rstd;
};

// In two passes over the registers. Values beyond the row do not count.
template <class Tile>
__device__ RowStatistics row_statistics(const typename Tile::Values& z, int cols, float eps, RowSum<Tile>& sum) {
  float total = 0, squares = 0;
  Tile::for_each(cols, [&](int chunk, int, bool inside) {
    if (!inside) return;
#pragma unroll
    for (int i = 0; i < Tile::kWidth; ++i) total += z[chunk][i];
  });
  const float mean = sum(total, 0) / static_cast<float>(cols);
  Tile::for_each(cols, [&](int chunk, int, bool inside) {
    if (!inside) return;
#pragma unroll
    for (int i = 0; i < Tile::kWidth; ++i) squares += (z[chunk][i] - mean) * (z[chunk][i] - mean);
  });
  return {mean, 1.0f / sqrtf(sum(squares, 1) / static_cast<float>(cols) + eps)};
}

// z becomes (z - mean) rstd gamma + beta.
template <class Tile>
__device__ void normalise(typename Tile::Values& z, const float* gamma, const float* beta, int cols,
                          const RowStatistics& statistics) {
  typename Tile::Values scale, shift;
  Tile::load_row(gamma, cols, scale);
  Tile::load_row(beta, cols, shift);
  Tile::for_each(cols, [&](int chunk, int, bool inside) {
    if (!inside) return;
#pragma unroll
    for (int i = 0; i < Tile::kWidth; ++i) {
      z[chunk][i] = (z[chunk][i] - statistics.mean) * statistics.rstd * scale[chunk][i] + shift[chunk][i];
    }
  });
}

// Gradients of gamma and beta of the rows that a block works on, by its threads' columns.
template <class Tile>
struct ParameterSums {
  typename Tile::Values dgamma = {}, dbeta = {};
};

// d and z hold the row's gradient and value; d becomes dz. Adds the row to `sums`.
template <class Tile>
__device__ void layer_norm_backward_row(typename Tile::Values& d, typename Tile::Values& z, const float* gamma,
                                        int cols, const RowStatistics& statistics, ParameterSums<Tile>& sums,
                                        RowSum<Tile>& sum) {
  float sum_g = 0, sum_g_xhat = 0;
  Tile::for_each(cols, [&](int chunk, int column, bool inside) {
    if (!inside) return;
    float scale[Tile::kWidth];
    load(gamma + column, scale);  // near: every row reads it
#pragma unroll
    for (int i = 0; i < Tile::kWidth; ++i) {
      const float xhat = (z[chunk][i] - statistics.mean) * statistics.rstd;
      sums.dgamma[chunk][i] += d[chunk][i] * xhat;
      sums.dbeta[chunk][i] += d[chunk][i];
      const float g = d[chunk][i] * scale[i];
      sum_g += g;
      sum_g_xhat += g * xhat;
      d[chunk][i] = g;
      z[chunk][i] = xhat;
    }
  });
  const float mean_g = sum(sum_g, 0) / static_cast<float>(cols);
  const float mean_g_xhat = sum(sum_g_xhat, 1) / static_cast<float>(cols);
  Tile::for_each(cols, [&](int chunk, int, bool inside) {
    if (!inside) return;
#pragma unroll
    for (int i = 0; i < Tile::kWidth; ++i) {
      d[chunk][i] = statistics.rstd * (d[chunk][i] - mean_g - z[chunk][i] * mean_g_xhat);
    }
  });
}

// Writes a block's sums to its row of `partial`, f32 [blocks, 2 cols]: dgamma, then dbeta. The warps of a block add
// theirs in their order, through `shared`, f32 [2 cols] where kRows > 1.
template <class Tile>
__device__ void write_parameter_sums(const ParameterSums<Tile>& sums, int cols, float* shared, float* partial) {
  if constexpr (Tile::kRows == 1) {
    Tile::for_each(cols, [&](int chunk, int column, bool inside) {
      if (!inside) return;
      store(sums.dgamma[chunk], partial + column);
      store(sums.dbeta[chunk], partial + cols + column);
    });
  } else {
    // In vectors of 16 bytes, which meet every bank once.
    const auto add = [&](const float(&values)[Tile::kWidth], float* to, bool first) {
      static_assert(Tile::kWidth == 4);
      float4& sum = *reinterpret_cast<float4*>(to);
      const float4 before = first ? make_float4(0, 0, 0, 0) : sum;
      sum = make_float4(values[0] + before.x, values[1] + before.y, values[2] + before.z, values[3] + before.w);
    };
    for (int warp = 0; warp < Tile::kRows; ++warp) {
      if (static_cast<int>(threadIdx.x) / kWarp == warp) {
        Tile::for_each(cols, [&](int chunk, int column, bool inside) {
          if (!inside) return;
          add(sums.dgamma[chunk], shared + column, warp == 0);
          add(sums.dbeta[chunk], shared + cols + column, warp == 0);
        });
      }
      __syncthreads();
    }
    for (int i = static_cast<int>(threadIdx.x); i < 2 * cols; i += Tile::kBlock) partial[i] = shared[i];
  }
}

// Rows that one block's parameter sums run over: as many as let all blocks run at once (three of them on each of an
// A100's 108 multiprocessors), but enough for the partial sums to be a small part of what is moved. Of the number of
// rows alone, for the sums' order is fixed.
constexpr int64_t rows_per_sum(int64_t rows) {
  constexpr int64_t kBlocks = 3 * 108, kFewest = 16, kMost = 64;
  const int64_t share = (rows + kBlocks - 1) / kBlocks;
  return std::clamp((share + kRowsAtOnce - 1) / kRowsAtOnce * kRowsAtOnce, kFewest, kMost);
}

// Calls f with the tile for rows of `cols` columns; `wide`: vectors of kRowWidth elements fit.
template <class F>
void with_row_tile(int64_t cols, bool wide, F&& f) {
  if (!wide) {
    f(RowTile<kRowBlock, 1, kMostPerThread>{});
  } else if (cols > kWarp * kMostPerThread) {
    f(RowTile<kRowBlock, kRowWidth, kMostPerThread>{});
  } else if (cols == kWarp * 24) {
    f(RowTile<kWarp, kRowWidth, 24, true>{});  // 768 columns, BERT's
  } else {
    f(RowTile<kWarp, kRowWidth, kMostPerThread>{});
  }
}

}  // namespace aid::cuda
