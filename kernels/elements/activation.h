// Activations, element by element (Hendrycks & Gimpel 2016, arXiv:1606.08415 for GELU):
//   gelu_erf  x Φ(x) = x/2 (1 + erf(x / √2))        gelu_tanh  x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))
//   relu      max(x, 0)                             tanh       tanh(x)
//   logistic  1 / (1 + e^-x)
// Backward takes the pre-activation x: dx = dy * f'(x).
#pragma once

#include "kernels/core/stream.h"
#include "kernels/matrix/linear.h"

namespace aid {

struct ActivationForward {
  Span y;   // [rows, cols], f32, bf16, on a GPU f16; may be x's memory
  CSpan x;  // same shape and dtype
  Activation activation = Activation::none;
};
void activation_forward(Stream& s, const ActivationForward& a);

struct ActivationBackward {
  Span dx;  // may be dy's memory
  Span y;   // written too when not empty: f(x), recomputed for the weight gradient of the layer above instead of stored
  CSpan dy;  // [rows, cols]
  CSpan x;   // the pre-activation
  Activation activation = Activation::none;
};
void activation_backward(Stream& s, const ActivationBackward& a);

}  // namespace aid
