#include "kernels/update/adamw.h"

#include <algorithm>
#include <cmath>

#include "kernels/core/operands.h"
#include "kernels/update/adamw_piece.h"

namespace aid {

using AdamWFn = void(const AdamWPiece&);
namespace cpu_avx2 {
AdamWFn adamw;
}
namespace cpu_avx512 {
AdamWFn adamw;
}
namespace cpu_avx512_bf16 {
AdamWFn adamw;
}

void adamw(Stream& s, const AdamW& a) {
  constexpr const char* kOp = "adamw";
  AID_CHECK(a.step >= 1, kOp, ": step ", a.step, "; expected 1 or more");
  int64_t total = 0;
  for (const AdamWTensor& t : a.tensors) {
    for (const auto& [name, span] : {std::pair{"parameter", t.parameter}, std::pair{"gradient", t.gradient},
                                     std::pair{"m", t.m}, std::pair{"v", t.v}}) {
      check_operand(kOp, name, span, t.parameter.rows, t.parameter.cols, DType::f32);
      AID_CHECK(span.contiguous(), kOp, ": ", name, " has gaps between its rows");
    }
    total += t.parameter.size();
  }
  const ProfileScope scope(s.profiler(),
                           {.op = kOp, .bytes = total * 4 * (a.clear_gradients ? 8 : 7), .flops = 14 * total});
  const double correction1 = 1 - std::pow(a.beta1, static_cast<double>(a.step));
  const double correction2 = 1 - std::pow(a.beta2, static_cast<double>(a.step));
  const AdamWPiece coefficients = {
      .beta1 = static_cast<float>(a.beta1),
      .beta2 = static_cast<float>(a.beta2),
      .one_minus_beta1 = static_cast<float>(1 - a.beta1),
      .one_minus_beta2 = static_cast<float>(1 - a.beta2),
      .eps = static_cast<float>(a.eps),
      .gradient_scale = a.gradient_scale,
      .step_size = static_cast<float>(a.lr / correction1),
      .inverse_root_correction2 = static_cast<float>(1 / std::sqrt(correction2)),
      .clear_gradients = a.clear_gradients,
  };
  const auto update = select(s, cpu_avx2::adamw, cpu_avx512::adamw, cpu_avx512_bf16::adamw);
  // All tensors one after the other are one long vector, of which each thread takes a contiguous range.
  s.team().ranges(total, 1024, [&](int64_t begin, int64_t end) {
    int64_t start = 0;  // of the tensor in the long vector
    for (const AdamWTensor& t : a.tensors) {
      const int64_t first = std::max(begin - start, int64_t{0}), last = std::min(end - start, t.parameter.size());
      start += t.parameter.size();
      if (first >= last) continue;
      AdamWPiece piece = coefficients;
      piece.parameter = t.parameter.as<float>() + first;
      piece.gradient = t.gradient.as<float>() + first;
      piece.m = t.m.as<float>() + first;
      piece.v = t.v.as<float>() + first;
      piece.size = last - first;
      piece.decay = static_cast<float>(1 - a.lr * t.weight_decay);
      update(piece);
    }
  });
}

}  // namespace aid
