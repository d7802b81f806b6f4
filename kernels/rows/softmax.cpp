#include "kernels/rows/softmax.h"

#include "kernels/core/operands.h"

namespace aid {

using SoftmaxBackwardFn = void(Stream&, const SoftmaxBackward&);
namespace cpu_avx2 {
SoftmaxBackwardFn softmax_backward;
}
namespace cpu_avx512 {
SoftmaxBackwardFn softmax_backward;
}
namespace cpu_avx512_bf16 {
SoftmaxBackwardFn softmax_backward;
}
namespace cuda {
SoftmaxBackwardFn softmax_backward;
}

void softmax_backward(Stream& s, const SoftmaxBackward& a) {
  constexpr const char* kOp = "softmax_backward";
  const int64_t rows = a.dx.rows, cols = a.dx.cols;
  check_operand(kOp, "dx", a.dx, rows, cols, DType::f32);
  check_operand(kOp, "dy", a.dy, rows, cols, DType::f32);
  check_operand(kOp, "y", a.y, rows, cols, DType::f32);
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = 3 * a.dx.bytes(), .flops = 4 * a.dx.size()});
  if (rows == 0) return;
  select(s, cpu_avx2::softmax_backward, cpu_avx512::softmax_backward, cpu_avx512_bf16::softmax_backward,
         AID_CUDA_KERNEL(softmax_backward))(s, a);
}

}  // namespace aid
