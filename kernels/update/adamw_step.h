// What AdamW's kernels are told of a step, besides its tensors.
#pragma once

#include <cstdint>

namespace aid {

struct AdamWStep {
  double lr;
  float beta1, beta2, one_minus_beta1, one_minus_beta2, eps;
  float step_size;                 // lr / (1 - beta1^t)
  float inverse_root_correction2;  // 1 / sqrt(1 - beta2^t)
  float max_norm;
  bool clear_gradients;
  int64_t elements;  // of all tensors
};

// A tensor's factor 1 - lr * weight_decay.
[[gnu::always_inline]] constexpr float decay_factor(double lr, float weight_decay) {
  return static_cast<float>(1 - lr * static_cast<double>(weight_decay));
}

// What gradients of this norm are multiplied by.
[[gnu::always_inline]] constexpr float clipping_scale(float norm, float max_norm) {
  const float scale = max_norm / (norm + 1e-6f);
  return scale < 1.0f ? scale : 1.0f;
}

}  // namespace aid
