#include "kernels/rows/segment_mean.h"

#include "kernels/core/operands.h"

namespace aid {

using SegmentMeanForwardFn = void(Stream&, const SegmentMeanForward&);
using SegmentMeanBackwardFn = void(Stream&, const SegmentMeanBackward&);
namespace cpu_avx2 {
SegmentMeanForwardFn segment_mean_forward;
SegmentMeanBackwardFn segment_mean_backward;
}  // namespace cpu_avx2
namespace cpu_avx512 {
SegmentMeanForwardFn segment_mean_forward;
SegmentMeanBackwardFn segment_mean_backward;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
SegmentMeanForwardFn segment_mean_forward;
SegmentMeanBackwardFn segment_mean_backward;
}  // namespace cpu_avx512_bf16
namespace cuda {
SegmentMeanForwardFn segment_mean_forward;
SegmentMeanBackwardFn segment_mean_backward;
}  // namespace cuda

namespace {

void check_segments(const char* op, const CSpan& segments, const CSpan& rows, const CSpan& first) {
  check_operand(op, "rows", rows, rows.rows, segments.cols, DType::f32);
  check_operand(op, "segments", segments, segments.rows, segments.cols, DType::f32);
  check_operand(op, "first", first, 1, segments.rows + 1, DType::i32);
  const auto* begin = first.host_as<int32_t>();
  AID_CHECK(begin[0] == 0 && begin[segments.rows] == rows.rows, op, ": first runs from ", begin[0], " to ",
            begin[segments.rows], "; expected 0 to the number of rows, ", rows.rows);
  for (int64_t t = 0; t < segments.rows; ++t) {
    AID_CHECK(begin[t] < begin[t + 1], op, ": segment ", t, " has ", begin[t + 1] - begin[t],
              " rows; expected at least 1");
  }
}

}  // namespace

void segment_mean_forward(Stream& s, const SegmentMeanForward& a) {
  constexpr const char* kOp = "segment_mean_forward";
  check_segments(kOp, a.y, a.x, a.first);
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = a.x.bytes() + a.y.bytes(), .flops = a.x.size()});
  select(s, cpu_avx2::segment_mean_forward, cpu_avx512::segment_mean_forward, cpu_avx512_bf16::segment_mean_forward,
         AID_CUDA_KERNEL(segment_mean_forward))(s, a);
}

void segment_mean_backward(Stream& s, const SegmentMeanBackward& a) {
  constexpr const char* kOp = "segment_mean_backward";
  check_segments(kOp, a.dy, a.dx, a.first);
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = a.dx.bytes() + a.dy.bytes(), .flops = a.dx.size()});
  select(s, cpu_avx2::segment_mean_backward, cpu_avx512::segment_mean_backward, cpu_avx512_bf16::segment_mean_backward,
         AID_CUDA_KERNEL(segment_mean_backward))(s, a);
}

}  // namespace aid
