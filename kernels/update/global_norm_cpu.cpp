// One chunk's sum of squares, read once. Four f32 accumulators of a vector each: at most 2^14 elements are spread over
// them, so an accumulator adds few hundred values.
#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {

[[gnu::flatten]] double sum_of_squares(const float* x, int64_t size) {
  return static_cast<double>(sum_vectors(size, [&](int64_t i, auto n) {
    const Vec v = load_n(x + i, n);
    return v * v;
  }));
}

}  // namespace aid::AID_TARGET
