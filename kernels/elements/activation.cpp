#include "kernels/elements/activation.h"

#include "kernels/core/operands.h"

namespace aid {

using ActivationForwardFn = void(Stream&, const ActivationForward&);
using ActivationBackwardFn = void(Stream&, const ActivationBackward&);
namespace cpu_avx2 {
ActivationForwardFn activation_forward;
ActivationBackwardFn activation_backward;
}  // namespace cpu_avx2
namespace cpu_avx512 {
ActivationForwardFn activation_forward;
ActivationBackwardFn activation_backward;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
ActivationForwardFn activation_forward;
ActivationBackwardFn activation_backward;
}  // namespace cpu_avx512_bf16
namespace cuda {
ActivationForwardFn activation_forward;
ActivationBackwardFn activation_backward;
}  // namespace cuda

void activation_forward(Stream& s, const ActivationForward& a) {
  constexpr const char* kOp = "activation_forward";
  check_float(kOp, s, "x", a.x);
  check_operand(kOp, "y", a.y, a.x.rows, a.x.cols, a.x.dtype);
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = a.x.bytes() + a.y.bytes(), .flops = 25 * a.x.size()});
  select(s, cpu_avx2::activation_forward, cpu_avx512::activation_forward, cpu_avx512_bf16::activation_forward,
         AID_CUDA_KERNEL(activation_forward))(s, a);
}

void activation_backward(Stream& s, const ActivationBackward& a) {
  constexpr const char* kOp = "activation_backward";
  const int64_t rows = a.dy.rows, cols = a.dy.cols;
  check_float(kOp, s, "dy", a.dy);
  check_operand(kOp, "x", a.x, rows, cols, a.dy.dtype);
  check_operand(kOp, "dx", a.dx, rows, cols, a.dy.dtype);
  check_optional(kOp, "y", a.y, rows, cols, a.dy.dtype);
  const ProfileScope scope(
      s.profiler(),
      {.op = kOp, .bytes = a.dy.bytes() + a.x.bytes() + a.dx.bytes() + a.y.bytes(), .flops = 28 * a.dy.size()});
  select(s, cpu_avx2::activation_backward, cpu_avx512::activation_backward, cpu_avx512_bf16::activation_backward,
         AID_CUDA_KERNEL(activation_backward))(s, a);
}

}  // namespace aid
