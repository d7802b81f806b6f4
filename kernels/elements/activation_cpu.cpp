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
struct GeluErf {
  [[gnu::always_inline]] static ValueAndSlope at(Vec x) {
    const Normal normal_at_x = normal(x);
    const Vec inverse_sqrt_two_pi = 0.398942280f;
    return {x * normal_at_x.cdf, normal_at_x.cdf + x * (normal_at_x.bell * inverse_sqrt_two_pi)};
  }
};
// 1/2 (1 + tanh(u)) = 1 / (1 + e^-2u) = σ, so y = x σ and y' = σ + x σ (1 - σ) (2u)'. 1 - σ is e^-2u σ, which has all
// its digits where σ is close to 1; bounded, so that infinity times 0 is no NaN.
struct GeluTanh {
  [[gnu::always_inline]] static ValueAndSlope at(Vec x) {
    constexpr float kTwoSqrtTwoByPi = 1.59576912f, kCubic = 0.044715f;
    const Vec square = x * x;
    const Vec power = exp(-kTwoSqrtTwoByPi * x * (1.0f + kCubic * square));
    const Vec gate = 1.0f / (1.0f + power);
    const Vec rest = stdx::min(power, Vec(1e38f)) * gate;
    const Vec slope_of_2u = kTwoSqrtTwoByPi * (1.0f + 3 * kCubic * square);
    return {x * gate, gate + x * gate * rest * slope_of_2u};
  }
};

template <class F>
void with_activation(Activation activation, F&& f) {
  switch (activation) {
    case Activation::none:
      return f(Identity{});
    case Activation::gelu_erf:
      return f(GeluErf{});
    case Activation::gelu_tanh:
      return f(GeluTanh{});
    case Activation::relu:
      return f(Relu{});
    case Activation::tanh:
      return f(Tanh{});
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
    with_activation(a.activation, [&]<class Function>(Function) {
      for_element_runs(s, a.y, without_gaps(a.x) && without_gaps(a.y), [&](int64_t row, int64_t begin, int64_t end) {
        forward_run<Function>(row_of<T>(a.y, row) + begin, row_of<T>(a.x, row) + begin, end - begin);
      });
    });
  });
}

void activation_backward(Stream& s, const ActivationBackward& a) {
  const bool one_row = without_gaps(a.dx) && without_gaps(a.dy) && without_gaps(a.x) && without_gaps(a.y);
  with_float_type(a.x.dtype, [&]<class T>(T) {
    with_activation(a.activation, [&]<class Function>(Function) {
      for_element_runs(s, a.dx, one_row, [&](int64_t row, int64_t begin, int64_t end) {
        backward_run<Function>(row_of<T>(a.dx, row) + begin, a.y.empty() ? nullptr : row_of<T>(a.y, row) + begin,
                               row_of<T>(a.dy, row) + begin, row_of<T>(a.x, row) + begin, end - begin);
      });
    });
  });
}

}  // namespace aid::AID_TARGET
