#include "kernels/rows/residual_layer_norm.h"

#include "kernels/core/operands.h"

namespace aid {

using ResidualLayerNormForwardFn = void(Stream&, const ResidualLayerNormForward&);
using ResidualLayerNormBackwardFn = void(Stream&, const ResidualLayerNormBackward&);
namespace cpu_avx2 {
ResidualLayerNormForwardFn residual_layer_norm_forward;
ResidualLayerNormBackwardFn residual_layer_norm_backward;
}  // namespace cpu_avx2
namespace cpu_avx512 {
ResidualLayerNormForwardFn residual_layer_norm_forward;
ResidualLayerNormBackwardFn residual_layer_norm_backward;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
ResidualLayerNormForwardFn residual_layer_norm_forward;
ResidualLayerNormBackwardFn residual_layer_norm_backward;
}  // namespace cpu_avx512_bf16
namespace cuda {
ResidualLayerNormForwardFn residual_layer_norm_forward;
ResidualLayerNormBackwardFn residual_layer_norm_backward;
}  // namespace cuda

void residual_layer_norm_forward(Stream& s, const ResidualLayerNormForward& a) {
  constexpr const char* kOp = "residual_layer_norm_forward";
  const int64_t rows = a.delta.rows, cols = a.delta.cols;
  const DType dtype = a.delta.dtype;
  check_float(kOp, s, "delta", a.delta);
  AID_CHECK(0 < cols && cols <= kMaxRowColumns, kOp, ": ", cols, " columns; expected 1 to ", kMaxRowColumns);
  check_optional(kOp, "x", a.x, rows, cols, dtype);
  check_operand(kOp, "y", a.y, rows, cols, dtype);
  check_optional(kOp, "z", a.z, rows, cols, dtype);
  check_optional(kOp, "mean", a.mean, 1, rows, DType::f32);
  check_optional(kOp, "rstd", a.rstd, 1, rows, DType::f32);
  check_operand(kOp, "gamma", a.gamma, 1, cols, DType::f32);
  check_operand(kOp, "beta", a.beta, 1, cols, DType::f32);
  check_dropout(kOp, a.dropout, a.row_ids, rows);
  const ProfileScope scope(
      s.profiler(),
      {.op = kOp, .bytes = a.delta.bytes() + a.x.bytes() + a.y.bytes() + a.z.bytes(), .flops = 8 * rows * cols});
  select(s, cpu_avx2::residual_layer_norm_forward, cpu_avx512::residual_layer_norm_forward,
         cpu_avx512_bf16::residual_layer_norm_forward, AID_CUDA_KERNEL(residual_layer_norm_forward))(s, a);
}

void residual_layer_norm_backward(Stream& s, const ResidualLayerNormBackward& a) {
  constexpr const char* kOp = "residual_layer_norm_backward";
  const int64_t rows = a.dy.rows, cols = a.dy.cols;
  const DType dtype = a.dy.dtype;
  check_float(kOp, s, "dy", a.dy);
  AID_CHECK(0 < cols && cols <= kMaxRowColumns, kOp, ": ", cols, " columns; expected 1 to ", kMaxRowColumns);
  check_optional(kOp, "dy2", a.dy2, rows, cols, dtype);
  check_operand(kOp, "dx", a.dx, rows, cols, dtype);
  check_optional(kOp, "ddelta", a.ddelta, rows, cols, dtype);
  AID_CHECK(!a.dropout.on() || !a.ddelta.empty(), kOp, ": ddelta is missing; with dropout it differs from dx");
  check_operand(kOp, "z", a.z, rows, cols, dtype);
  check_operand(kOp, "mean", a.mean, 1, rows, DType::f32);
  check_operand(kOp, "rstd", a.rstd, 1, rows, DType::f32);
  check_operand(kOp, "gamma", a.gamma, 1, cols, DType::f32);
  check_operand(kOp, "dgamma", a.dgamma, 1, cols, DType::f32);
  check_operand(kOp, "dbeta", a.dbeta, 1, cols, DType::f32);
  check_dropout(kOp, a.dropout, a.row_ids, rows);
  const ProfileScope scope(s.profiler(),
                           {.op = kOp,
                            .bytes = a.dy.bytes() + a.dy2.bytes() + a.z.bytes() + a.dx.bytes() + a.ddelta.bytes(),
                            .flops = 14 * rows * cols});
  select(s, cpu_avx2::residual_layer_norm_backward, cpu_avx512::residual_layer_norm_backward,
         cpu_avx512_bf16::residual_layer_norm_backward, AID_CUDA_KERNEL(residual_layer_norm_backward))(s, a);
}

}  // namespace aid
