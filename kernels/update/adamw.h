// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) in torch.optim.AdamW's form, over all parameters in one pass:
//   g = gradient * min(1, max_norm / (norm + 1e-6))          as torch.nn.utils.clip_grad_norm_ clips
//   p *= 1 - lr * weight_decay
//   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g²
//   p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
// The gradient is read for the last time here, so the same pass can clear it for the next step.
#pragma once

#include <span>

#include "kernels/core/stream.h"

namespace aid {

struct AdamWTensor {
  Span parameter, gradient, m, v;  // f32, same size, contiguous
  Span copy;                       // bf16, same size, contiguous: the new parameter, rounded; or empty
  float weight_decay = 0;
};

struct AdamW {
  std::span<const AdamWTensor> tensors;
  // In f64, for 1 - 0.999f has only five digits of 0.001.
  double lr = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  int64_t step = 1;    // t, from 1
  CSpan norm;          // f32 [1], of all gradients (global_norm.h); empty: they are not clipped
  float max_norm = 0;  // > 0 where there is a norm
  bool clear_gradients = false;
};
void adamw(Stream& s, const AdamW& a);

}  // namespace aid
