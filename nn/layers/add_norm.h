// "Add & Norm" of the Transformer (Vaswani et al. 2017, figure 1), the post-norm form that BERT has:
//   y = LayerNorm(x + drop(delta))
#pragma once

#include "kernels/core/stream.h"
#include "nn/layers/dropout.h"
#include "nn/parameter_store.h"

namespace aid::nn {

// The gradient of an activation that a residual connection and a product both read: the sum of what came back through
// each. It is never added up in memory; the op that reads it next does so. `residual` may be empty.
struct SplitGradient {
  Span product, residual;
};

class AddNorm {
 public:
  AddNorm(ParameterStore& store, const std::string& name, int64_t cols, float eps);

  struct Saved {
    Span z, mean, rstd;
  };
  struct Forward {
    Span y;      // [rows, cols]
    CSpan x;     // the residual
    Span delta;  // becomes saved->z where there is a `saved`
    Dropout dropout;
    CSpan row_ids;
    Saved* saved;  // null in inference; takes memory of the arena
  };
  void forward(Stream& s, const Forward& a) const;

  struct Backward {
    SplitGradient dy;  // dy.product is overwritten by the gradient of x
    Dropout dropout;
    CSpan row_ids;
    const Saved& saved;
  };
  // Returns the gradient of delta: memory of the arena, or dy.product's where dropout is off and both are equal.
  Span backward(Stream& s, const Backward& a) const;

 private:
  const Parameter &weight_, &bias_;
  float eps_;
};

}  // namespace aid::nn
