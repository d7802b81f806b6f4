// The activations of kernels/elements/activation.h, f(x) and f'(x); where a caller ignores one of them, the compiler
// drops its arithmetic.
#pragma once

#include "kernels/matrix/linear.h"

namespace aid::cuda {

struct ValueAndSlope {
  float value, slope;
};

struct Identity {
  __device__ static ValueAndSlope at(float x) { return {x, 1.0f}; }
};
struct Relu {
  // NaN stays; the slope is 0 at 0, as torch has it.
  __device__ static ValueAndSlope at(float x) { return {x <= 0.0f ? 0.0f : x, x <= 0.0f ? 0.0f : 1.0f}; }
};
struct Tanh {
  __device__ static ValueAndSlope at(float x) {
    const float y = tanhf(x);
    return {y, 1.0f - y * y};
  }
};
// y' = y (1 - y); 1 - y is e^-x y, which has all its digits where y is close to 1; bounded, so that infinity times 0 is
// no NaN.
struct Logistic {
  __device__ static ValueAndSlope at(float x) {
    const float power = expf(-x), value = 1.0f / (1.0f + power);
    return {value, fminf(power, 1e38f) * value * value};
  }
};
// x Φ(x). Φ(-|x|) = e^(-x²/2) P(1 / (1 + 0.31 |x|)) as kernels/cpu/math.h has it: the slope needs the same exponential,
// and erff takes more than twice as many instructions.
struct GeluErf {
  __device__ static ValueAndSlope at(float x) {
    const float bell = expf(-0.5f * x * x);
    const float u = __fdividef(1.0f, fmaf(0.31f, fabsf(x), 1.0f));
    float p = 0.0438150614f;
    p = fmaf(p, u, -0.2529203f);
    p = fmaf(p, u, 0.48016015f);
    p = fmaf(p, u, -0.24776968f);
    p = fmaf(p, u, 0.26194444f);
    p = fmaf(p, u, 0.0874007419f);
    p = fmaf(p, u, 0.127369583f);
    const float tail = p * u * bell;
    const float cdf = x > 0.0f ? 1.0f - tail : tail;
    // Where the exponential has long become 0, so that infinity times 0 is no NaN.
    constexpr float kFar = 64.0f, kInverseSqrtTwoPi = 0.398942280f;
    const float above = fmaxf(x, -kFar);
    return {above * cdf, cdf + fminf(above, kFar) * (bell * kInverseSqrtTwoPi)};
  }
};
// 1/2 (1 + tanh(u)) = 1 / (1 + e^-2u) = σ, so y = x σ and y' = σ + x σ (1 - σ) (2u)'. 1 - σ is e^-2u σ, which has all
// its digits where σ is close to 1; bounded, so that infinity times 0 is no NaN.
struct GeluTanh {
  __device__ static ValueAndSlope at(float x) {
    constexpr float kTwoSqrtTwoByPi = 1.59576912f, kCubic = 0.044715f;
    constexpr float kFar = 64.0f;  // as above; NaN stays
    const float above = x < -kFar ? -kFar : x, within = above > kFar ? kFar : above;
    const float square = within * within;
    const float power = expf(-kTwoSqrtTwoByPi * within * (1.0f + kCubic * square));
    const float gate = 1.0f / (1.0f + power);
    const float rest = fminf(power, 1e38f) * gate;
    const float slope_of_2u = kTwoSqrtTwoByPi * (1.0f + 3 * kCubic * square);
    return {above * gate, gate + within * gate * rest * slope_of_2u};
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
    case Activation::logistic:
      return f(Logistic{});
  }
}

}  // namespace aid::cuda
