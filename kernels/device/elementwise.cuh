// Work sharing of the element-by-element ops: a thread takes vectors of kWidth neighbouring elements; operands without
// gaps between rows are one long row.
#pragma once

#include "kernels/device/launch.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {

inline constexpr int kElementBlock = 256;

// Calls f(row, column, width) for the thread's vectors of rows x cols, with width an integral constant: kWidth, or 1
// for the columns that are left over.
template <int kWidth, class F>
__device__ void for_elements(int64_t rows, int64_t cols, F&& f) {
  const int64_t first = (int64_t{blockIdx.x} * kElementBlock + threadIdx.x) * kWidth;
  const int64_t step = int64_t{gridDim.x} * kElementBlock * kWidth;
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    for (int64_t column = first; column < cols; column += step) {
      if (kWidth == 1 || column + kWidth <= cols) {
        f(row, column, std::integral_constant<int, kWidth>());
      } else {
#pragma unroll 1
        for (int64_t c = column; c < cols; ++c) f(row, c, std::integral_constant<int, 1>());
      }
    }
  }
}

struct ElementGrid {
  int64_t rows, cols;

  // Of operands of this shape.
  template <class... Spans>
  explicit ElementGrid(const CSpan& shape, const Spans&... operands) : rows(shape.rows), cols(shape.cols) {
    const bool one_row = shape.contiguous() && ((operands.data == nullptr || operands.contiguous()) && ...);
    if (one_row) {
      cols *= rows;
      rows = 1;
    }
  }

  LaunchShape shape(int width) const {
    constexpr int64_t kMostBlocks = 65535;
    if (rows == 0) return {.grid = dim3(0), .block = kElementBlock};
    const int64_t across = std::min<int64_t>(blocks_for(cols, int64_t{kElementBlock} * width), int64_t{1} << 20);
    return {.grid = dim3(static_cast<unsigned>(across), static_cast<unsigned>(std::min(rows, kMostBlocks))),
            .block = kElementBlock};
  }
};

}  // namespace aid::cuda
