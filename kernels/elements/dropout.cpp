#include "kernels/elements/dropout.h"

#include "kernels/core/operands.h"

namespace aid {

using DropoutForwardFn = void(Stream&, const DropoutForward&);
namespace cpu_avx2 {
DropoutForwardFn dropout_forward;
}
namespace cpu_avx512 {
DropoutForwardFn dropout_forward;
}
namespace cpu_avx512_bf16 {
DropoutForwardFn dropout_forward;
}
namespace cuda {
DropoutForwardFn dropout_forward;
}

void dropout_forward(Stream& s, const DropoutForward& a) {
  constexpr const char* kOp = "dropout_forward";
  check_float(kOp, s, "x", a.x);
  check_operand(kOp, "y", a.y, a.x.rows, a.x.cols, a.x.dtype);
  check_dropout(kOp, a.dropout, a.row_ids, a.x.rows);
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = a.x.bytes() + a.y.bytes(), .flops = a.x.size()});
  select(s, cpu_avx2::dropout_forward, cpu_avx512::dropout_forward, cpu_avx512_bf16::dropout_forward,
         AID_CUDA_KERNEL(dropout_forward))(s, a);
}

}  // namespace aid
