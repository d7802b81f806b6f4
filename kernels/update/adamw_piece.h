// What AdamW's kernel is told: a run of one tensor's elements, and the step's coefficients.
#pragma once

#include <cstdint>

namespace aid {

struct AdamWPiece {
  float *parameter = nullptr, *gradient = nullptr, *m = nullptr, *v = nullptr;
  int64_t size = 0;
  float decay = 1;  // 1 - lr * weight_decay
  float beta1 = 0, beta2 = 0, one_minus_beta1 = 1, one_minus_beta2 = 1, eps = 0;
  float gradient_scale = 1;
  float step_size = 0;                 // lr / (1 - beta1^t)
  float inverse_root_correction2 = 1;  // 1 / sqrt(1 - beta2^t)
  bool clear_gradients = false;
};

}  // namespace aid
