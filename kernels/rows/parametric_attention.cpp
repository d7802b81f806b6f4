#include "kernels/rows/parametric_attention.h"

#include "kernels/core/operands.h"

namespace aid {

using ParametricAttentionForwardFn = void(Stream&, const ParametricAttentionForward&);
using ParametricAttentionBackwardFn = void(Stream&, const ParametricAttentionBackward&);
namespace cpu_avx2 {
ParametricAttentionForwardFn parametric_attention_forward;
ParametricAttentionBackwardFn parametric_attention_backward;
}  // namespace cpu_avx2
namespace cpu_avx512 {
ParametricAttentionForwardFn parametric_attention_forward;
ParametricAttentionBackwardFn parametric_attention_backward;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
ParametricAttentionForwardFn parametric_attention_forward;
ParametricAttentionBackwardFn parametric_attention_backward;
}  // namespace cpu_avx512_bf16
namespace cuda {
ParametricAttentionForwardFn parametric_attention_forward;
ParametricAttentionBackwardFn parametric_attention_backward;
}  // namespace cuda

namespace {

// What forward and backward have in common; y stands for dy, too.
template <class Args>
void check_attention(const char* op, const Args& a, const CSpan& y) {
  const int64_t rows = a.x.rows, cols = y.cols;
  check_operand(op, "y", y, y.rows, cols, DType::f32);
  check_operand(op, "x", a.x, rows, cols, DType::f32);
  check_operand(op, "keys", a.keys, rows, cols, DType::f32);
  check_operand(op, "query", a.query, 1, cols, DType::f32);
  check_operand(op, "weights", a.weights, 1, rows, DType::f32);
  check_segments(op, a.first, y.rows, rows);
}

}  // namespace

void parametric_attention_forward(Stream& s, const ParametricAttentionForward& a) {
  constexpr const char* kOp = "parametric_attention_forward";
  check_attention(kOp, a, a.y);
  const int64_t keys = a.keys.data == a.x.data ? 0 : a.keys.bytes();
  const ProfileScope scope(s.profiler(),
                           {.op = kOp, .bytes = a.x.bytes() + keys + a.y.bytes(), .flops = 4 * a.x.size()});
  select(s, cpu_avx2::parametric_attention_forward, cpu_avx512::parametric_attention_forward,
         cpu_avx512_bf16::parametric_attention_forward, AID_CUDA_KERNEL(parametric_attention_forward))(s, a);
}

void parametric_attention_backward(Stream& s, const ParametricAttentionBackward& a) {
  constexpr const char* kOp = "parametric_attention_backward";
  check_attention(kOp, a, a.dy);
  check_operand(kOp, "dx", a.dx, a.x.rows, a.x.cols, DType::f32);
  check_optional(kOp, "dkeys", a.dkeys, a.x.rows, a.x.cols, DType::f32);
  AID_CHECK(!a.dkeys.empty() || a.keys.data == a.x.data, kOp, ": dkeys is missing, and keys are not x");
  check_operand(kOp, "dquery", a.dquery, 1, a.x.cols, DType::f32);
  const int64_t keys = a.keys.data == a.x.data ? 0 : a.keys.bytes();
  const ProfileScope scope(
      s.profiler(), {.op = kOp, .bytes = a.x.bytes() + keys + a.dx.bytes() + a.dkeys.bytes(), .flops = 7 * a.x.size()});
  select(s, cpu_avx2::parametric_attention_backward, cpu_avx512::parametric_attention_backward,
         cpu_avx512_bf16::parametric_attention_backward, AID_CUDA_KERNEL(parametric_attention_backward))(s, a);
}

}  // namespace aid
