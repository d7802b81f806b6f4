#include "kernels/elements/cast.h"

#include "kernels/core/operands.h"

namespace aid {

using CastFn = void(Stream&, const Cast&);
namespace cpu_avx2 {
CastFn cast;
}
namespace cpu_avx512 {
CastFn cast;
}
namespace cpu_avx512_bf16 {
CastFn cast;
}
namespace cuda {
CastFn cast;
}

void cast(Stream& s, const Cast& a) {
  constexpr const char* kOp = "cast";
  for (const DType dtype : {a.x.dtype, a.y.dtype}) {
    AID_CHECK(dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16, kOp, ": cannot cast ",
              name_of(a.x.dtype), " to ", name_of(a.y.dtype), "; expected f32, bf16 or f16");
  }
  check_operand(kOp, "y", a.y, a.x.rows, a.x.cols, a.y.dtype);
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = a.x.bytes() + a.y.bytes()});
  select(s, cpu_avx2::cast, cpu_avx512::cast, cpu_avx512_bf16::cast, AID_CUDA_KERNEL(cast))(s, a);
}

}  // namespace aid
