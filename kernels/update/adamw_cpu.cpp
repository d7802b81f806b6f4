// Equations: adamw.h. All tensors one after the other are one long vector, of which each thread takes a contiguous
// range. One pass: each element of the four vectors is read once and written once. Ordinary stores: the lines have just
// been read, so a store that goes around the cache would save nothing. Which products are rounded is written out: left
// to the compiler, whole vectors and what is left of a range may differ, and ranges depend on threads.
#include "kernels/update/adamw.h"

#include "kernels/cpu/simd.h"
#include "kernels/update/adamw_step.h"

namespace aid::AID_TARGET {
namespace {

// A run of one tensor's elements.
struct Piece {
  float *parameter, *gradient, *m, *v;
  bf16* copy;
  int64_t size;
  float decay, gradient_scale;
};

[[gnu::flatten]] void update(const AdamWStep& a, const Piece& piece) {
  for_vectors(piece.size, [&](int64_t i, auto n) {
    const Vec g = load_n(piece.gradient + i, n) * piece.gradient_scale;
    const Vec m = multiply_add(Vec(a.beta1), load_n(piece.m + i, n), a.one_minus_beta1 * g);
    const Vec v = multiply_add(Vec(a.beta2), load_n(piece.v + i, n), a.one_minus_beta2 * (g * g));
    const Vec denominator = multiply_add(square_root(v), Vec(a.inverse_root_correction2), Vec(a.eps));
    const Vec p = multiply_add(Vec(piece.decay), load_n(piece.parameter + i, n), -(a.step_size * m / denominator));
    store_n(m, piece.m + i, n);
    store_n(v, piece.v + i, n);
    store_n(p, piece.parameter + i, n);
    if (piece.copy != nullptr) store_n(p, piece.copy + i, n);
    if (a.clear_gradients) store_n(Vec(0.0f), piece.gradient + i, n);
  });
}

}  // namespace

void adamw(Stream& s, const AdamW& a, const AdamWStep& step) {
  const float scale = a.norm.empty() ? 1.0f : clipping_scale(*row_of<float>(a.norm, 0), step.max_norm);
  s.team().ranges(step.elements, 1024, [&](int64_t begin, int64_t end) {
    int64_t start = 0;  // of the tensor in the long vector
    for (const AdamWTensor& t : a.tensors) {
      const int64_t size = t.parameter.rows * t.parameter.cols;
      const int64_t first = begin > start ? begin - start : 0, last = end - start < size ? end - start : size;
      start += size;
      if (first >= last) continue;
      update(step, {.parameter = row_of<float>(t.parameter, 0) + first,
                    .gradient = row_of<float>(t.gradient, 0) + first,
                    .m = row_of<float>(t.m, 0) + first,
                    .v = row_of<float>(t.v, 0) + first,
                    .copy = t.copy.empty() ? nullptr : row_of<bf16>(t.copy, 0) + first,
                    .size = last - first,
                    .decay = decay_factor(step.lr, t.weight_decay),
                    .gradient_scale = scale});
    }
  });
}

}  // namespace aid::AID_TARGET
