#include "kernels/rows/segment_reduce.h"

#include "kernels/core/operands.h"

namespace aid {

using SegmentReduceForwardFn = void(Stream&, const SegmentReduceForward&);
using SegmentReduceBackwardFn = void(Stream&, const SegmentReduceBackward&);
namespace cpu_avx2 {
SegmentReduceForwardFn segment_reduce_forward;
SegmentReduceBackwardFn segment_reduce_backward;
}  // namespace cpu_avx2
namespace cpu_avx512 {
SegmentReduceForwardFn segment_reduce_forward;
SegmentReduceBackwardFn segment_reduce_backward;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
SegmentReduceForwardFn segment_reduce_forward;
SegmentReduceBackwardFn segment_reduce_backward;
}  // namespace cpu_avx512_bf16
namespace cuda {
SegmentReduceForwardFn segment_reduce_forward;
SegmentReduceBackwardFn segment_reduce_backward;
}  // namespace cuda

void segment_reduce_forward(Stream& s, const SegmentReduceForward& a) {
  constexpr const char* kOp = "segment_reduce_forward";
  const int64_t segments = a.y.rows, cols = a.y.cols;
  check_operand(kOp, "y", a.y, segments, cols, DType::f32);
  check_operand(kOp, "x", a.x, a.x.rows, cols, DType::f32);
  check_segments(kOp, a.first, segments, a.x.rows);
  check_optional(kOp, "which", a.which, segments, cols, DType::i32);
  AID_CHECK(a.which.empty() || a.reduction == Reduction::max, kOp, ": which is saved for max alone");
  const ProfileScope scope(s.profiler(),
                           {.op = kOp, .bytes = a.x.bytes() + a.y.bytes() + a.which.bytes(), .flops = a.x.size()});
  select(s, cpu_avx2::segment_reduce_forward, cpu_avx512::segment_reduce_forward,
         cpu_avx512_bf16::segment_reduce_forward, AID_CUDA_KERNEL(segment_reduce_forward))(s, a);
}

void segment_reduce_backward(Stream& s, const SegmentReduceBackward& a) {
  constexpr const char* kOp = "segment_reduce_backward";
  const int64_t segments = a.dy.rows, cols = a.dy.cols;
  check_operand(kOp, "dy", a.dy, segments, cols, DType::f32);
  check_operand(kOp, "dx", a.dx, a.dx.rows, cols, DType::f32);
  check_segments(kOp, a.first, segments, a.dx.rows);
  if (a.reduction == Reduction::max) check_operand(kOp, "which", a.which, segments, cols, DType::i32);
  const ProfileScope scope(s.profiler(),
                           {.op = kOp, .bytes = a.dx.bytes() + a.dy.bytes() + a.which.bytes(), .flops = a.dx.size()});
  select(s, cpu_avx2::segment_reduce_backward, cpu_avx512::segment_reduce_backward,
         cpu_avx512_bf16::segment_reduce_backward, AID_CUDA_KERNEL(segment_reduce_backward))(s, a);
}

}  // namespace aid
