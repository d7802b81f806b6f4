// Equations: adamw.h. One pass: each element of the four vectors is read once and written once. Ordinary stores: the
// lines have just been read, so a store that goes around the cache would save nothing. Which products are rounded is
// written out: left to the compiler, whole vectors and what is left of a piece may differ, and pieces depend on
// threads.
#include "kernels/cpu/simd.h"
#include "kernels/update/adamw_piece.h"

namespace aid::AID_TARGET {

[[gnu::flatten]] void adamw(const AdamWPiece& a) {
  for_vectors(a.size, [&](int64_t i, auto n) {
    const Vec g = load_n(a.gradient + i, n) * a.gradient_scale;
    const Vec m = multiply_add(Vec(a.beta1), load_n(a.m + i, n), a.one_minus_beta1 * g);
    const Vec v = multiply_add(Vec(a.beta2), load_n(a.v + i, n), a.one_minus_beta2 * (g * g));
    const Vec denominator = multiply_add(square_root(v), Vec(a.inverse_root_correction2), Vec(a.eps));
    const Vec p = multiply_add(Vec(a.decay), load_n(a.parameter + i, n), -(a.step_size * m / denominator));
    store_n(m, a.m + i, n);
    store_n(v, a.v + i, n);
    store_n(p, a.parameter + i, n);
    if (a.clear_gradients) store_n(Vec(0.0f), a.gradient + i, n);
  });
}

}  // namespace aid::AID_TARGET
