#include "tests/cpu/math_functions.h"

#include "kernels/cpu/math.h"

namespace aid::AID_TARGET {
namespace {

template <class F>
[[gnu::always_inline]] inline void apply(float* y, const float* x, int64_t size, F&& f) {
  for_vectors(size, [&](int64_t i, auto n) { store_n(f(load_n(x + i, n)), y + i, n); });
}

}  // namespace

[[gnu::flatten]] void exp_of(float* y, const float* x, int64_t size) {
  apply(y, x, size, [](Vec v) { return exp(v); });
}
[[gnu::flatten]] void tanh_of(float* y, const float* x, int64_t size) {
  apply(y, x, size, [](Vec v) { return tanh(v); });
}
[[gnu::flatten]] void normal_cdf_of(float* y, const float* x, int64_t size) {
  apply(y, x, size, [](Vec v) { return normal(v).cdf; });
}

}  // namespace aid::AID_TARGET
