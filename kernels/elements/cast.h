// y = x in y's dtype (f32, bf16, f16 in any combination), rounding to nearest even. Rows may be strided.
#pragma once

#include "kernels/core/stream.h"

namespace aid {

struct Cast {
  Span y;
  CSpan x;
};
void cast(Stream& s, const Cast& a);

}  // namespace aid
