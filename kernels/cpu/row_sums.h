// Sums over the rows of partial sums, in their order.
#pragma once

#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {

// total[begin, end) += the rows of `partial`, which lie `stride` apart, in their order.
[[gnu::flatten]] inline void add_rows(float* total, const float* partial, int64_t rows, int64_t stride, int64_t begin,
                                      int64_t end) {
  for_vectors(end - begin, [&](int64_t c, auto n) {
    Vec sum = load_n(total + begin + c, n);
    for (int64_t row = 0; row < rows; ++row) sum += load_n(partial + row * stride + begin + c, n);
    store_n(sum, total + begin + c, n);
  });
}

}  // namespace aid::AID_TARGET
