// Equations: segment_reduce.h. A thread takes a contiguous range of segments. A block of columns keeps its sums or
// maxima in the first-level cache while the segment's rows go by.
#include "kernels/rows/segment_reduce.h"

#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {
namespace {

constexpr int64_t kBlock = 64;

// Columns [column, column + width) of segment t, which has rows [begin, end), at least one.
struct Block {
  int64_t t, begin, end, column, width;
};

void sum_block(const SegmentReduceForward& a, const Block& b) {
  double sum[kBlock] = {};
  for (int64_t r = b.begin; r < b.end; ++r) {
    const float* x = row_of<float>(a.x, r) + b.column;
    for (int64_t k = 0; k < b.width; ++k) sum[k] += static_cast<double>(x[k]);
  }
  const double divisor = a.reduction == Reduction::mean ? static_cast<double>(b.end - b.begin) : 1;
  float* y = row_of<float>(a.y, b.t) + b.column;
  for (int64_t k = 0; k < b.width; ++k) y[k] = static_cast<float>(sum[k] / divisor);
}

void max_block(const SegmentReduceForward& a, const Block& b) {
  float largest[kBlock];
  int32_t which[kBlock];
  const float* x = row_of<float>(a.x, b.begin) + b.column;
  for (int64_t k = 0; k < b.width; ++k) {
    largest[k] = x[k];
    which[k] = static_cast<int32_t>(b.begin);
  }
  for (int64_t r = b.begin + 1; r < b.end; ++r) {
    x = row_of<float>(a.x, r) + b.column;
    for (int64_t k = 0; k < b.width; ++k) {
      const bool larger = x[k] > largest[k];
      largest[k] = larger ? x[k] : largest[k];
      which[k] = larger ? static_cast<int32_t>(r) : which[k];
    }
  }
  const auto width = static_cast<size_t>(b.width);
  __builtin_memcpy(row_of<float>(a.y, b.t) + b.column, largest, width * sizeof(float));
  if (!a.which.empty()) __builtin_memcpy(row_of<int32_t>(a.which, b.t) + b.column, which, width * sizeof(int32_t));
}

void reduce_segment(const SegmentReduceForward& a, int64_t t, int64_t begin, int64_t end) {
  const int64_t cols = a.y.cols;
  const size_t row_bytes = static_cast<size_t>(cols) * sizeof(float);
  if (begin == end) {
    __builtin_memset(row_of<float>(a.y, t), 0, row_bytes);
    for (int64_t k = 0; !a.which.empty() && k < cols; ++k) row_of<int32_t>(a.which, t)[k] = -1;
  } else if (a.reduction == Reduction::first || a.reduction == Reduction::last) {
    const int64_t row = a.reduction == Reduction::first ? begin : end - 1;
    __builtin_memcpy(row_of<float>(a.y, t), row_of<float>(a.x, row), row_bytes);
  } else {
    const auto reduce = a.reduction == Reduction::max ? max_block : sum_block;
    for (int64_t column = 0; column < cols; column += kBlock) {
      const int64_t width = cols - column < kBlock ? cols - column : kBlock;
      reduce(a, {.t = t, .begin = begin, .end = end, .column = column, .width = width});
    }
  }
}

void spread_segment(const SegmentReduceBackward& a, int64_t t, int64_t begin, int64_t end) {
  const int64_t cols = a.dx.cols;
  const float* dy = row_of<float>(a.dy, t);
  const auto rows = a.reduction == Reduction::mean ? static_cast<float>(end - begin) : 1.0f;
  for (int64_t r = begin; r < end; ++r) {
    float* dx = row_of<float>(a.dx, r);
    if (a.reduction == Reduction::max) {
      const int32_t* which = row_of<int32_t>(a.which, t);
      for (int64_t k = 0; k < cols; ++k) dx[k] = which[k] == static_cast<int32_t>(r) ? dy[k] : 0.0f;
    } else if ((a.reduction == Reduction::first && r != begin) || (a.reduction == Reduction::last && r != end - 1)) {
      for (int64_t k = 0; k < cols; ++k) dx[k] = 0.0f;
    } else {
      for (int64_t k = 0; k < cols; ++k) dx[k] = dy[k] / rows;
    }
  }
}

}  // namespace

void segment_reduce_forward(Stream& s, const SegmentReduceForward& a) {
  const int32_t* first = row_of<int32_t>(a.first, 0);
  s.team().ranges(a.y.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) reduce_segment(a, t, first[t], first[t + 1]);
  });
}

void segment_reduce_backward(Stream& s, const SegmentReduceBackward& a) {
  const int32_t* first = row_of<int32_t>(a.first, 0);
  s.team().ranges(a.dy.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) spread_segment(a, t, first[t], first[t + 1]);
  });
}

}  // namespace aid::AID_TARGET
