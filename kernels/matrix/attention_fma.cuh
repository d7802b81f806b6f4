// Tiles of attention in f32 arithmetic: for f32 elements, and for heads too wide for attention_mma.cuh.
//
// Tiles in shared memory are f32, whatever the elements are. Rows are 16 bytes longer than their kDim columns: threads
// that read the same columns of neighbouring rows meet all banks once.
//
// A warp is 4 x 8 threads. A thread has kThreadRows own rows, 4 apart, and of a tile's columns every eighth, or in
// products with kDim columns every eighth group of four.
#pragma once

#include "kernels/matrix/attention_device.cuh"

namespace aid::cuda {

template <class T, int kDim, int kRows, int kTileColumns = 32>
struct FmaTiles {
  using Element = T;
  static constexpr int kHeadDim = kDim;  // of the widest head that fits
  static constexpr int kColumns = kTileColumns;
  static constexpr int kWarpRows = 4 * kRows;
  static constexpr int kRowLanes = 8;
  static constexpr int kThreadRows = kRows, kThreadColumns = kColumns / 8;
  static constexpr int kColumnPeriod = 2;         // columns j and j + 2 of a thread are 16 apart;
  static constexpr int kRowPeriod = kThreadRows;  // a warp's rows are all within 16
  static_assert(kWarpRows <= 16);

  __host__ __device__ static constexpr int tile_bytes(int rows) { return rows * kPitch * 4; }
  // P of the warps' rows.
  __host__ __device__ static constexpr int scratch_bytes(int rows) { return rows * kScratchPitch * 4; }

  struct Scores {
    float values[kThreadRows][kThreadColumns];
    __device__ float& at(int i, int j) { return values[i][j]; }
  };
  struct Output {
    float values[kThreadRows][kDim / 32][4];
    __device__ Output() {
#pragma unroll
      for (auto& row : values) {
#pragma unroll
        for (auto& group : row) group[0] = group[1] = group[2] = group[3] = 0;
      }
    }
    __device__ void scale_row(int i, float factor) {
#pragma unroll
      for (auto& group : values[i]) {
#pragma unroll
        for (float& x : group) x *= factor;
      }
    }
  };

  int lane, first_row, dim;
  float* scratch;

  __device__ FmaTiles(const AttentionArguments& a, unsigned char* scratch_memory)
      : lane(threadIdx.x % kWarp),
        first_row(threadIdx.x / kWarp * kWarpRows),
        dim(a.head_dim),
        scratch(reinterpret_cast<float*>(scratch_memory)) {}

  __device__ int row(int i) const { return first_row + lane / 8 + i * 4; }
  __device__ int column(int j) const { return lane % 8 + j * 8; }

  __device__ static void load(unsigned char* tile, int tile_rows, const HeadRows<const T>& from) {
    constexpr int kPieces = kDim / 4;
    const int pieces = tile_rows * kPieces, threads = blockDim.x;
    float* const to = reinterpret_cast<float*>(tile);
    if constexpr (std::is_same_v<T, float>) {
      if (from.vectors) {
#pragma unroll 4
        for (int i = threadIdx.x; i < pieces; i += threads) {
          const int r = i / kPieces, column = i % kPieces * 4;
          const bool there = r < from.rows && column < from.columns;
          copy_async<16>(shared_address(to + r * kPitch + column),
                         there ? from.data + r * from.stride + column : from.data, there ? 16 : 0);
        }
        return;
      }
    }
#pragma unroll 1
    for (int i = threadIdx.x; i < pieces; i += threads) {
      const int r = i / kPieces, column = i % kPieces * 4, there = r < from.rows ? from.columns - column : 0;
      const T* source = from.data + r * from.stride + column;
      float x[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) x[e] = e < there ? to_float(source[e]) : 0;
      *reinterpret_cast<float4*>(to + r * kPitch + column) = make_float4(x[0], x[1], x[2], x[3]);
    }
  }

  __device__ void multiply_transposed(Scores& s, const unsigned char* own, const unsigned char* other) const {
    const float* a_rows = reinterpret_cast<const float*>(own) + row(0) * kPitch;
    const float* b_rows = reinterpret_cast<const float*>(other) + column(0) * kPitch;
#pragma unroll
    for (auto& row : s.values) {
#pragma unroll
      for (float& x : row) x = 0;
    }
    // In sums of 8, which are added up: dP - D is a small difference of two such products, and one long sum would lose
    // more of it than D, which eight threads add up.
    constexpr int kSum = 8;
    for (int first = 0; first < dim; first += kSum) {
      float part[kThreadRows][kThreadColumns] = {};
      for (int d = first; d < min(first + kSum, dim); d += 4) {
        float a[kThreadRows][4], b[kThreadColumns][4];
#pragma unroll
        for (int i = 0; i < kThreadRows; ++i) load4(a[i], a_rows + i * 4 * kPitch + d);
#pragma unroll
        for (int j = 0; j < kThreadColumns; ++j) load4(b[j], b_rows + j * 8 * kPitch + d);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
#pragma unroll
          for (int i = 0; i < kThreadRows; ++i) {
#pragma unroll
            for (int j = 0; j < kThreadColumns; ++j) part[i][j] = fmaf(a[i][e], b[j][e], part[i][j]);
          }
        }
      }
#pragma unroll
      for (int i = 0; i < kThreadRows; ++i) {
#pragma unroll
        for (int j = 0; j < kThreadColumns; ++j) s.values[i][j] += part[i][j];
      }
    }
  }

  __device__ void multiply_add(Output& out, Scores& p, const unsigned char* other) const {
    __syncwarp();
#pragma unroll
    for (int i = 0; i < kThreadRows; ++i) {
#pragma unroll
      for (int j = 0; j < kThreadColumns; ++j) scratch[row(i) * kScratchPitch + column(j)] = p.values[i][j];
    }
    __syncwarp();
    const float* b_rows = reinterpret_cast<const float*>(other) + lane % 8 * 4;
    for (int k = 0; k < kColumns; k += 4) {
      float a[kThreadRows][4];
#pragma unroll
      for (int i = 0; i < kThreadRows; ++i) load4(a[i], scratch + row(i) * kScratchPitch + k);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
#pragma unroll
        for (int group = 0; group < kDim / 32; ++group) {
          if (group * 32 >= dim) break;
          float b[4];
          load4(b, b_rows + (k + e) * kPitch + group * 32);
#pragma unroll
          for (int i = 0; i < kThreadRows; ++i) {
#pragma unroll
            for (int c = 0; c < 4; ++c) out.values[i][group][c] = fmaf(a[i][e], b[c], out.values[i][group][c]);
          }
        }
      }
    }
  }

  __device__ void store(const HeadRows<T>& to, const Output& out, unsigned char*) const {
#pragma unroll
    for (int i = 0; i < kThreadRows; ++i) {
      if (row(i) >= to.rows) continue;
      T* target = to.data + row(i) * to.stride;
#pragma unroll
      for (int group = 0; group < kDim / 32; ++group) {
        const int first = group * 32 + lane % 8 * 4;
        const float(&x)[4] = out.values[i][group];
        if (std::is_same_v<T, float> && to.vectors && first < to.columns) {
          cuda::store(x, target + first);
          continue;
        }
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          if (first + e < to.columns) target[first + e] = from_float<T>(x[e]);
        }
      }
    }
  }

 private:
  static constexpr int kPitch = kDim + 4, kScratchPitch = kColumns + 8;

  __device__ static void load4(float (&x)[4], const float* from) {
    const float4 v = *reinterpret_cast<const float4*>(from);
    x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
  }
};

}  // namespace aid::cuda
