// A trainable tensor of a model, under the name that the ecosystem gives it, so that loaders and savers need no map.
#pragma once

#include <string>
#include <vector>

#include "kernels/core/span.h"

namespace aid::nn {

struct Parameter {
  std::string name;            // e.g. "bert.encoder.layer.0.attention.self.query.weight"
  std::vector<int64_t> shape;  // as stored: {out, in}, {n}
  // f32, on the model's device. In inference on the CPU it may point into a mapped file that outlives the model.
  CSpan value;
  Span trained_value;  // the same memory, writable; empty in inference
  // The value in the dtype that a GPU computes its products in, beside it on the device; empty where that is f32, on
  // the CPU, and for what no product reads. Whoever changes trained_value changes it as well: AdamW does.
  Span compute_value;
  Span gradient;          // f32, same size; empty in inference
  bool decay = false;     // weight decay applies: matrices and embeddings, neither biases nor LayerNorm
  bool trainable = true;  // false: neither gradient step nor decay (frozen sinusoidal positions)
};

}  // namespace aid::nn
