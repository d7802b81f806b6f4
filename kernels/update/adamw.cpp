#include "kernels/update/adamw.h"

#include <cmath>

#include "kernels/core/operands.h"
#include "kernels/update/adamw_step.h"

namespace aid {

using AdamWFn = void(Stream&, const AdamW&, const AdamWStep&);
namespace cpu_avx2 {
AdamWFn adamw;
}
namespace cpu_avx512 {
AdamWFn adamw;
}
namespace cpu_avx512_bf16 {
AdamWFn adamw;
}
namespace cuda {
AdamWFn adamw;
}

void adamw(Stream& s, const AdamW& a) {
  constexpr const char* kOp = "adamw";
  AID_CHECK(a.step >= 1, kOp, ": step ", a.step, "; expected 1 or more");
  check_optional(kOp, "norm", a.norm, 1, 1, DType::f32);
  AID_CHECK(a.norm.empty() || a.max_norm > 0, kOp, ": max_norm ", a.max_norm, "; expected more than 0");
  int64_t total = 0, bytes = 0;
  for (const AdamWTensor& t : a.tensors) {
    for (const auto& [name, span] : {std::pair{"parameter", t.parameter}, std::pair{"gradient", t.gradient},
                                     std::pair{"m", t.m}, std::pair{"v", t.v}}) {
      check_operand(kOp, name, span, t.parameter.rows, t.parameter.cols, DType::f32);
      AID_CHECK(span.contiguous(), kOp, ": ", name, " has gaps between its rows");
    }
    check_optional(kOp, "copy", t.copy, t.parameter.rows, t.parameter.cols, DType::bf16);
    AID_CHECK(t.copy.contiguous(), kOp, ": copy has gaps between its rows");
    total += t.parameter.size();
    bytes += t.parameter.bytes() * (a.clear_gradients ? 8 : 7) + t.copy.bytes();
  }
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = bytes, .flops = 14 * total});
  const double correction1 = 1 - std::pow(a.beta1, static_cast<double>(a.step));
  const double correction2 = 1 - std::pow(a.beta2, static_cast<double>(a.step));
  select(s, cpu_avx2::adamw, cpu_avx512::adamw, cpu_avx512_bf16::adamw, AID_CUDA_KERNEL(adamw))(
      s, a,
      {.lr = a.lr,
       .beta1 = static_cast<float>(a.beta1),
       .beta2 = static_cast<float>(a.beta2),
       .one_minus_beta1 = static_cast<float>(1 - a.beta1),
       .one_minus_beta2 = static_cast<float>(1 - a.beta2),
       .eps = static_cast<float>(a.eps),
       .step_size = static_cast<float>(a.lr / correction1),
       .inverse_root_correction2 = static_cast<float>(1 / std::sqrt(correction2)),
       .max_norm = a.max_norm,
       .clear_gradients = a.clear_gradients,
       .elements = total});
}

}  // namespace aid
