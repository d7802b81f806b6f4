// A block of 16 warps sums rows of 32 kWidth columns: warp w takes rows w, w + 16, ... and lane l kWidth neighbouring
// columns, so that a warp reads 512 bytes in one piece, of eight rows at a time; the warps' sums are added in their
// order. Many rows go through a matrix of partial sums, each of as many rows as the block's warps have under way at
// once, and those are summed once more.
#include "kernels/device/column_sums.cuh"

#include "kernels/device/launch.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {
namespace {

constexpr int kWarps = 16;
constexpr int kUnroll = 8;
constexpr int64_t kRowsOfChunk = kWarps * kUnroll;
constexpr int64_t kMostInOnePass = 4 * kRowsOfChunk;

// Where a column's sum belongs: += to one of two vectors, or = to a row of partial sums for each block row.
struct Targets {
  float *first, *second, *partial;
  int first_cols;
};

template <class T, int kWidth>
__global__ void __launch_bounds__(kWarps* kWarp) column_sums_kernel(Targets to, CSpan x, int64_t rows_of_block) {
  // [element of a vector][lane]. Warps write along lanes and read along columns: with this pitch, neither twice a bank.
  constexpr int kPitch = kWarp + kWarp / kWidth;
  __shared__ float sums[kWarps][kWidth * kPitch];
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  const int cols = static_cast<int>(x.cols);
  const int column = (static_cast<int>(blockIdx.x) * kWarp + lane) * kWidth;
  const int64_t begin = blockIdx.y * rows_of_block;
  const int64_t end = begin + rows_of_block < x.rows ? begin + rows_of_block : x.rows;
  float total[kWidth] = {};
  if (column < cols) {
    for (int64_t first = begin + warp; first < end; first += kRowsOfChunk) {
      float value[kUnroll][kWidth];  // all under way before the first is added
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const int64_t row = first + u * kWarps;
        if (row < end) load(row_of<T>(x, row) + column, value[u]);
      }
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        if (first + u * kWarps >= end) break;
#pragma unroll
        for (int i = 0; i < kWidth; ++i) total[i] += value[u][i];
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kWidth; ++i) sums[warp][i * kPitch + lane] = total[i];
  __syncthreads();
  for (int offset = static_cast<int>(threadIdx.x); offset < kWarp * kWidth; offset += kWarps * kWarp) {
    const int target = static_cast<int>(blockIdx.x) * kWarp * kWidth + offset;
    if (target >= cols) continue;
    const int at = offset % kWidth * kPitch + offset / kWidth;
    float sum = sums[0][at];
    for (int w = 1; w < kWarps; ++w) sum += sums[w][at];
    if (to.partial != nullptr) {
      to.partial[static_cast<int64_t>(blockIdx.y) * cols + target] = sum;
    } else if (target < to.first_cols) {
      to.first[target] += sum;
    } else {
      to.second[target - to.first_cols] += sum;
    }
  }
}

void sum(Stream& s, const Targets& to, const CSpan& x, int64_t rows_of_block) {
  with_float_type(x.dtype, [&]<class T>(T) {
    constexpr int kWide = 16 / static_cast<int>(sizeof(T));
    const auto run = [&](auto kernel, int width) {
      launch(
          s, kernel,
          {.grid = dim3(blocks_for(x.cols, kWarp * width), blocks_for(x.rows, rows_of_block)), .block = kWarps * kWarp},
          to, x, rows_of_block);
    };
    if (x.cols % kWide == 0 && vectors_fit(kWide, x)) {
      run(column_sums_kernel<T, kWide>, kWide);
    } else {
      run(column_sums_kernel<T, 1>, 1);
    }
  });
}

}  // namespace

void add_column_sums(Stream& s, const ColumnSums& a) {
  if (a.x.rows == 0) return;
  const Targets to = {.first = static_cast<float*>(a.first.data),
                      .second = static_cast<float*>(a.second.data),
                      .partial = nullptr,
                      .first_cols = static_cast<int>(a.first.cols)};
  if (a.x.rows <= kMostInOnePass) return sum(s, to, a.x, a.x.rows);
  const Scratch scratch(s);
  const Span partial = s.arena().take(DType::f32, blocks_for(a.x.rows, kRowsOfChunk), a.x.cols);
  sum(s, {.first = nullptr, .second = nullptr, .partial = static_cast<float*>(partial.data), .first_cols = 0}, a.x,
      kRowsOfChunk);
  add_column_sums(s, {.first = a.first, .second = a.second, .x = partial});
}

}  // namespace aid::cuda
