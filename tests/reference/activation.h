// Activations and their derivatives with the C library's erf, tanh and exp.
#pragma once

#include <cmath>
#include <numbers>

#include "kernels/matrix/linear.h"

namespace aid::reference {

template <class Real>
Real activation(Activation f, Real x) {
  const Real half = Real(0.5), root = std::sqrt(Real(2) / std::numbers::pi_v<Real>);
  switch (f) {
    case Activation::none:
      return x;
    case Activation::gelu_erf:
      return half * x * (1 + std::erf(x / std::numbers::sqrt2_v<Real>));
    case Activation::gelu_tanh:
      return half * x * (1 + std::tanh(root * (x + Real(0.044715) * x * x * x)));
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::tanh:
      return std::tanh(x);
    case Activation::logistic:
      return 1 / (1 + std::exp(-x));
  }
  return x;
}

template <class Real>
Real activation_slope(Activation f, Real x) {
  const Real half = Real(0.5), root = std::sqrt(Real(2) / std::numbers::pi_v<Real>);
  switch (f) {
    case Activation::none:
      return 1;
    case Activation::gelu_erf:
      return half * (1 + std::erf(x / std::numbers::sqrt2_v<Real>)) +
             x * std::exp(-half * x * x) / std::sqrt(2 * std::numbers::pi_v<Real>);
    case Activation::gelu_tanh: {
      const Real t = std::tanh(root * (x + Real(0.044715) * x * x * x));
      return half * (1 + t) + half * x * (1 - t * t) * root * (1 + 3 * Real(0.044715) * x * x);
    }
    case Activation::relu:
      return x > 0 ? 1 : 0;
    case Activation::tanh: {
      const Real t = std::tanh(x);
      return 1 - t * t;
    }
    case Activation::logistic:
      return 1 / ((1 + std::exp(-x)) * (1 + std::exp(x)));
  }
  return 1;
}

}  // namespace aid::reference
