// Learning-rate schedules, equal to transformers' get_scheduler("linear" | "cosine" | "constant_with_warmup")
// (transformers/optimization.py). With w warm-up steps of n in all, optimizer step k from 0 runs at lr times
//   k < w      k / w
//   linear     (n - k) / (n - w)        cosine    (1 + cos(pi (k - w) / (n - w))) / 2        constant  1
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace aid::train {

struct Schedule {
  enum class Shape : uint8_t { linear, cosine, constant };
  Shape shape = Shape::linear;
  int64_t warmup_steps = 0;
  int64_t total_steps = 1;

  double factor(int64_t step) const {
    if (step < warmup_steps) return static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, warmup_steps));
    if (shape == Shape::constant) return 1;
    const double decay_steps = static_cast<double>(std::max<int64_t>(1, total_steps - warmup_steps));
    if (shape == Shape::linear) return std::max(0.0, static_cast<double>(total_steps - step) / decay_steps);
    const double progress = static_cast<double>(step - warmup_steps) / decay_steps;
    return std::max(0.0, 0.5 * (1 + std::cos(std::numbers::pi * progress)));
  }

  // Trainer's rule: a number of steps wins over a ratio of the total, which is rounded up.
  static int64_t warmup(int64_t steps, double ratio, int64_t total) {
    return steps > 0 ? steps : static_cast<int64_t>(std::ceil(static_cast<double>(total) * ratio));
  }
};

}  // namespace aid::train
