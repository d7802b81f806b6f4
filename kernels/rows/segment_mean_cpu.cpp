// Equations: segment_mean.h. A thread takes a contiguous range of segments.
#include "kernels/rows/segment_mean.h"

#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {

void segment_mean_forward(Stream& s, const SegmentMeanForward& a) {
  const int32_t* first = row_of<int32_t>(a.first, 0);
  s.team().ranges(a.y.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* y = row_of<float>(a.y, t);
      for (int64_t k = 0; k < a.y.cols; ++k) {
        double sum = 0;
        for (int32_t r = first[t]; r < first[t + 1]; ++r) sum += static_cast<double>(row_of<float>(a.x, r)[k]);
        y[k] = static_cast<float>(sum / (first[t + 1] - first[t]));
      }
    }
  });
}

void segment_mean_backward(Stream& s, const SegmentMeanBackward& a) {
  const int32_t* first = row_of<int32_t>(a.first, 0);
  s.team().ranges(a.dy.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* dy = row_of<float>(a.dy, t);
      const auto rows = static_cast<float>(first[t + 1] - first[t]);
      for (int32_t r = first[t]; r < first[t + 1]; ++r) {
        float* dx = row_of<float>(a.dx, r);
        for (int64_t k = 0; k < a.dx.cols; ++k) dx[k] = dy[k] / rows;
      }
    }
  });
}

}  // namespace aid::AID_TARGET
