#include "kernels/rows/maxout_layer_norm.h"

#include "kernels/core/operands.h"

namespace aid {

using MaxoutLayerNormForwardFn = void(Stream&, const MaxoutLayerNormForward&);
using MaxoutLayerNormBackwardFn = void(Stream&, const MaxoutLayerNormBackward&);
namespace cpu_avx2 {
MaxoutLayerNormForwardFn maxout_layer_norm_forward;
MaxoutLayerNormBackwardFn maxout_layer_norm_backward;
}  // namespace cpu_avx2
namespace cpu_avx512 {
MaxoutLayerNormForwardFn maxout_layer_norm_forward;
MaxoutLayerNormBackwardFn maxout_layer_norm_backward;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
MaxoutLayerNormForwardFn maxout_layer_norm_forward;
MaxoutLayerNormBackwardFn maxout_layer_norm_backward;
}  // namespace cpu_avx512_bf16
namespace cuda {
MaxoutLayerNormForwardFn maxout_layer_norm_forward;
MaxoutLayerNormBackwardFn maxout_layer_norm_backward;
}  // namespace cuda

namespace {

// What forward and backward have in common; y stands for dy, too.
template <class Args>
void check_maxout(const char* op, const Args& a, const CSpan& y) {
  AID_CHECK(0 < y.cols && y.cols <= kMaxRowColumns, op, ": ", y.cols, " columns; expected 1 to ", kMaxRowColumns);
  AID_CHECK(0 < a.pieces && a.pieces <= kMostPieces, op, ": ", a.pieces, " pieces; expected 1 to ", kMostPieces);
  check_operand(op, "y", y, y.rows, y.cols, DType::f32);
  check_operand(op, "z", a.z, y.rows, y.cols * a.pieces, DType::f32);
  check_optional(op, "gamma", a.gamma, 1, y.cols, DType::f32);
  check_dropout(op, a.dropout, a.row_ids, y.rows);
}

}  // namespace

void maxout_layer_norm_forward(Stream& s, const MaxoutLayerNormForward& a) {
  constexpr const char* kOp = "maxout_layer_norm_forward";
  const int64_t rows = a.y.rows, cols = a.y.cols;
  check_maxout(kOp, a, a.y);
  check_optional(kOp, "x", a.x, rows, cols, DType::f32);
  if (a.gamma.empty()) {
    AID_CHECK(a.beta.empty() && a.mean.empty() && a.rstd.empty(), kOp, ": beta, mean or rstd without gamma");
  } else {
    check_operand(kOp, "beta", a.beta, 1, cols, DType::f32);
    check_optional(kOp, "mean", a.mean, 1, rows, DType::f32);
    check_optional(kOp, "rstd", a.rstd, 1, rows, DType::f32);
  }
  const ProfileScope scope(
      s.profiler(),
      {.op = kOp, .bytes = a.z.bytes() + a.x.bytes() + a.y.bytes(), .flops = (a.pieces + 7) * rows * cols});
  select(s, cpu_avx2::maxout_layer_norm_forward, cpu_avx512::maxout_layer_norm_forward,
         cpu_avx512_bf16::maxout_layer_norm_forward, AID_CUDA_KERNEL(maxout_layer_norm_forward))(s, a);
}

void maxout_layer_norm_backward(Stream& s, const MaxoutLayerNormBackward& a) {
  constexpr const char* kOp = "maxout_layer_norm_backward";
  const int64_t rows = a.dy.rows, cols = a.dy.cols;
  check_maxout(kOp, a, a.dy);
  check_operand(kOp, "dz", a.dz, rows, cols * a.pieces, DType::f32);
  if (a.gamma.empty()) {
    AID_CHECK(a.dgamma.empty() && a.dbeta.empty(), kOp, ": dgamma or dbeta without gamma");
  } else {
    check_operand(kOp, "mean", a.mean, 1, rows, DType::f32);
    check_operand(kOp, "rstd", a.rstd, 1, rows, DType::f32);
    check_operand(kOp, "dgamma", a.dgamma, 1, cols, DType::f32);
    check_operand(kOp, "dbeta", a.dbeta, 1, cols, DType::f32);
  }
  const ProfileScope scope(
      s.profiler(),
      {.op = kOp, .bytes = a.z.bytes() + a.dy.bytes() + a.dz.bytes(), .flops = (2 * a.pieces + 13) * rows * cols});
  select(s, cpu_avx2::maxout_layer_norm_backward, cpu_avx512::maxout_layer_norm_backward,
         cpu_avx512_bf16::maxout_layer_norm_backward, AID_CUDA_KERNEL(maxout_layer_norm_backward))(s, a);
}

}  // namespace aid
