// Equations: activation.h. Every element is read and written once; the arithmetic (at most one exponential and one
// division) stays below the time that memory takes. Forward and backward share the function, so that the y which
// backward recomputes has the bits of forward's.
#include "kernels/elements/activation.h"

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/math.h"

namespace aid::AID_TARGET {
namespace {

struct ValueAndSlope {
  Vec value, slope;
};

// f(x) and f'(x); where a caller ignores one of them, the compiler drops its arithmetic.
struct Identity {
  [[gnu::always_inline]] static ValueAndSlope at(Vec x) { return {x, 1.0f}; }
};
struct Relu {
  [[gnu::always_inline]] static ValueAndSlope at(Vec x) {
    Vec value = x, slope = 1.0f;
    stdx::where(x <= 0.0f, value) = 0.0f;  // NaN stays
    stdx::where(x <= 0.0f, slope) = 0.0f;  // 0 at 0, as torch has it
    return {value, slope};
  }
};
struct Tanh {
  [[gnu::always_inline]] static ValueAndSlope at(Vec x) {
    const Vec y = tanh(x);
    return {y, 1.0f - y * y};
  }
};
// y' = y (1 - y); 1 - y is e^-x y, which has all its digits where y is close to 1; bounded, so that infinity times 0 is
// no NaN.
struct Logistic {
  [[gnu::always_inline]] static ValueAndSlope at(Vec x) {
    const Vec power = exp(-x), value = 1.0f / (1.0f + power);
    return {value, stdx::min(power, Vec(1e38f)) * value * value};
  }
};
// x, but above -far; and within [-far, far]. Where a GELU's exponential has long become 0, so that infinity times 0 is
// no NaN. NaN stays.
struct Bounded {
  Vec above, within;
};
[[gnu::always_inline]] inline Bounded bounded(Vec x, float far) {
  Bounded b{x, x};
  stdx::where(x < -far, b.above) = -far;
  b.within = b.above;
  stdx::where(x > far, b.within) = far;
  return b;
}
struct GeluErf {
  [[gnu::always_inline]] static ValueAndSlope at(Vec x) {
    const Bounded b = bounded(x, 64.0f);
    const Normal normal_at_x = normal(x);
    const Vec inverse_sqrt_two_pi = 0.398942280f;
    return {b.above * normal_at_x.cdf, normal_at_x.cdf + b.within * (normal_at_x.bell * inverse_sqrt_two_pi)};
  }
};
// The same for results that are rounded to bf16: no exponential, no division. With t = |x|,
//   x Φ(x)          = max(x, 0) - t Φ(-t)
//   Φ(x) + x φ(x)   = r(t) for x <= 0 and 1 - r(t) for x > 0, where r(t) = Φ(-t) - t φ(t), which is 0 at t = kRoot.
// The 16th roots of Φ(-t) and of r(t) / (kRoot - t) are so close to straight lines that polynomials of degree 6 follow
// them: fitted to least largest relative error of their 16th powers for t <= 5, which is 2^-13.7: 1/50 ulp of bf16 at
// most. They are polynomials in kEnd - t without a constant term, so that the tail ends in zero.
struct GeluErfForBf16 {
  [[gnu::always_inline]] static ValueAndSlope at(Vec x) {
    constexpr float kEnd = 9.2f, kRoot = 0.751791525f;
    Vec t = magnitude_of(x);
    stdx::where(t > kEnd, t) = kEnd;  // NaN stays
    const Vec u = kEnd - t;
    // Pairs of terms (Estrin 1960): Horner's chain would be the time of it all.
    const Vec square = u * u;
    const auto power_16_of = [u, square](float c6, float c5, float c4, float c3, float c2, float c1) {
      const Vec high = multiply_add(Vec(c6), u, Vec(c5)), middle = multiply_add(Vec(c4), u, Vec(c3)),
                low = multiply_add(Vec(c2), u, Vec(c1));
      Vec p = multiply_add(multiply_add(high, square, middle), square, low) * u;
      for (int i = 0; i < 4; ++i) p *= p;
      return p;
    };
    const Vec lower_tail = power_16_of(1.34873476e-06f, -1.06849989e-05f, -4.40331489e-04f, 5.82996002e-03f,
                                       -1.66063753e-02f, 9.39534436e-02f);
    Vec slope = (kRoot - t) * power_16_of(1.4982636e-06f, -1.02107703e-05f, -5.29802885e-04f, 6.63128332e-03f,
                                          -1.91153079e-02f, 1.07501114e-01f);
    stdx::where(x > 0.0f, slope) = 1.0f - slope;
    return {multiply_add(-t, lower_tail, stdx::max(x, Vec(0.0f))), slope};
  }
};
// 1/2 (1 + tanh(u)) = 1 / (1 + e^-2u) = σ, so y = x σ and y' = σ + x σ (1 - σ) (2u)'. 1 - σ is e^-2u σ, which has all
// its digits where σ is close to 1; bounded, so that infinity times 0 is no NaN.
struct GeluTanh {
  [[gnu::always_inline]] static ValueAndSlope at(Vec x) {
    constexpr float kTwoSqrtTwoByPi = 1.59576912f, kCubic = 0.044715f;
    const Bounded b = bounded(x, 64.0f);
    const Vec square = b.within * b.within;
    const Vec power = exp(-kTwoSqrtTwoByPi * b.within * (1.0f + kCubic * square));
    const Vec gate = 1.0f / (1.0f + power);
    const Vec rest = stdx::min(power, Vec(1e38f)) * gate;
    const Vec slope_of_2u = kTwoSqrtTwoByPi * (1.0f + 3 * kCubic * square);
    return {b.above * gate, gate + b.within * gate * rest * slope_of_2u};
  }
};

// T: what the results are stored in.
template <class T, class F>
void with_activation(Activation activation, F&& f) {
  switch (activation) {
    case Activation::none:
      return f(Identity{});
    case Activation::gelu_erf:
      return f(std::conditional_t<std::is_same_v<T, bf16>, GeluErfForBf16, GeluErf>{});
    case Activation::gelu_tanh:
      return f(GeluTanh{});
    case Activation::relu:
      return f(Relu{});
    case Activation::tanh:
      return f(Tanh{});
    case Activation::logistic:
      return f(Logistic{});
  }
}

template <class Function, class T>
[[gnu::flatten]] void forward_run(T* y, const T* x, int64_t size) {
  for_vectors(size, [&](int64_t i, auto n) { store_n(Function::at(load_n(x + i, n)).value, y + i, n); });
}

// y may be null.
template <class Function, class T>
[[gnu::flatten]] void backward_run(T* dx, T* y, const T* dy, const T* x, int64_t size) {
  for_vectors(size, [&](int64_t i, auto n) {
    const ValueAndSlope f = Function::at(load_n(x + i, n));
    store_n(load_n(dy + i, n) * f.slope, dx + i, n);
    if (y != nullptr) store_n(f.value, y + i, n);
  });
}

}  // namespace

void activation_forward(Stream& s, const ActivationForward& a) {
  with_float_type(a.x.dtype, [&]<class T>(T) {
    with_activation<T>(a.activation, [&]<class Function>(Function) {
      for_element_runs(s, a.y, without_gaps(a.x) && without_gaps(a.y), [&](int64_t row, int64_t begin, int64_t end) {
        forward_run<Function>(row_of<T>(a.y, row) + begin, row_of<T>(a.x, row) + begin, end - begin);
      });
    });
  });
}

void activation_backward(Stream& s, const ActivationBackward& a) {
  const bool one_row = without_gaps(a.dx) && without_gaps(a.dy) && without_gaps(a.x) && without_gaps(a.y);
  with_float_type(a.x.dtype, [&]<class T>(T) {
    with_activation<T>(a.activation, [&]<class Function>(Function) {
      for_element_runs(s, a.dx, one_row, [&](int64_t row, int64_t begin, int64_t end) {
        backward_run<Function>(row_of<T>(a.dx, row) + begin, a.y.empty() ? nullptr : row_of<T>(a.y, row) + begin,
                               row_of<T>(a.dy, row) + begin, row_of<T>(a.x, row) + begin, end - begin);
      });
    });
  });
}

}  // namespace aid::AID_TARGET
