#include "kernels/rows/expand_window.h"

#include "kernels/core/operands.h"

namespace aid {

using ExpandWindowForwardFn = void(Stream&, const ExpandWindowForward&);
using ExpandWindowBackwardFn = void(Stream&, const ExpandWindowBackward&);
namespace cpu_avx2 {
ExpandWindowForwardFn expand_window_forward;
ExpandWindowBackwardFn expand_window_backward;
}  // namespace cpu_avx2
namespace cpu_avx512 {
ExpandWindowForwardFn expand_window_forward;
ExpandWindowBackwardFn expand_window_backward;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
ExpandWindowForwardFn expand_window_forward;
ExpandWindowBackwardFn expand_window_backward;
}  // namespace cpu_avx512_bf16
namespace cuda {
ExpandWindowForwardFn expand_window_forward;
ExpandWindowBackwardFn expand_window_backward;
}  // namespace cuda

void expand_window_forward(Stream& s, const ExpandWindowForward& a) {
  constexpr const char* kOp = "expand_window_forward";
  const int64_t rows = a.x.rows, cols = a.x.cols;
  AID_CHECK(a.window >= 0, kOp, ": window ", a.window, "; expected at least 0");
  check_operand(kOp, "x", a.x, rows, cols, DType::f32);
  check_operand(kOp, "y", a.y, rows, (2 * a.window + 1) * cols, DType::f32);
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = a.x.bytes() + a.y.bytes()});
  select(s, cpu_avx2::expand_window_forward, cpu_avx512::expand_window_forward, cpu_avx512_bf16::expand_window_forward,
         AID_CUDA_KERNEL(expand_window_forward))(s, a);
}

void expand_window_backward(Stream& s, const ExpandWindowBackward& a) {
  constexpr const char* kOp = "expand_window_backward";
  const int64_t rows = a.dx.rows, cols = a.dx.cols;
  AID_CHECK(a.window >= 0, kOp, ": window ", a.window, "; expected at least 0");
  check_operand(kOp, "dx", a.dx, rows, cols, DType::f32);
  check_operand(kOp, "dy", a.dy, rows, (2 * a.window + 1) * cols, DType::f32);
  check_optional(kOp, "dy2", a.dy2, rows, cols, DType::f32);
  const ProfileScope scope(s.profiler(),
                           {.op = kOp, .bytes = a.dx.bytes() + a.dy.bytes() + a.dy2.bytes(), .flops = a.dy.size()});
  select(s, cpu_avx2::expand_window_backward, cpu_avx512::expand_window_backward,
         cpu_avx512_bf16::expand_window_backward, AID_CUDA_KERNEL(expand_window_backward))(s, a);
}

}  // namespace aid
