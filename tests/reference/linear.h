// Naive linear layer, in T (double: the specification; float: what its tolerance is measured against).
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/matrix/linear.h"

namespace aid::reference {

template <class T>
T activate(Activation activation, T x) {
  switch (activation) {
    case Activation::gelu_erf:
      return x / 2 * (1 + std::erf(x * static_cast<T>(0.70710678118654752440)));
    case Activation::gelu_tanh:
      return x / 2 *
             (1 + std::tanh(static_cast<T>(0.79788456080286535588) * (x + static_cast<T>(0.044715) * x * x * x)));
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::tanh:
      return std::tanh(x);
    case Activation::logistic:
      return 1 / (1 + std::exp(-x));
    case Activation::none:
      break;
  }
  return x;
}

// x [rows, in], w [out, in], bias [out] or empty.
template <class T>
std::vector<T> linear(const std::vector<T>& x, const std::vector<T>& w, const std::vector<T>& bias, int64_t rows,
                      int64_t in, int64_t out, Activation activation = Activation::none) {
  std::vector<T> y(static_cast<size_t>(rows * out));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < out; ++o) {
      T sum = 0;
      for (int64_t i = 0; i < in; ++i) sum += x[r * in + i] * w[o * in + i];
      y[r * out + o] = activate(activation, bias.empty() ? sum : sum + bias[o]);
    }
  }
  return y;
}

// dy [rows, out] -> dx [rows, in]
template <class T>
std::vector<T> linear_backward_input(const std::vector<T>& dy, const std::vector<T>& w, int64_t rows, int64_t in,
                                     int64_t out) {
  std::vector<T> dx(static_cast<size_t>(rows * in), T{0});
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t i = 0; i < in; ++i) dx[r * in + i] += dy[r * out + o] * w[o * in + i];
    }
  }
  return dx;
}

// Adds to dw [out, in] and, where it is not empty, dbias [out].
template <class T>
void linear_backward_weight(std::vector<T>& dw, std::vector<T>& dbias, const std::vector<T>& dy,
                            const std::vector<T>& x, int64_t rows, int64_t in, int64_t out) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t i = 0; i < in; ++i) dw[o * in + i] += dy[r * out + o] * x[r * in + i];
      if (!dbias.empty()) dbias[o] += dy[r * out + o];
    }
  }
}

}  // namespace aid::reference
