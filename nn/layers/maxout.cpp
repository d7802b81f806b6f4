#include "nn/layers/maxout.h"

#include "kernels/rows/maxout_layer_norm.h"

namespace aid::nn {
namespace {

constexpr float kEps = 1e-8f;  // thinc/layers/layernorm.py

}  // namespace

Maxout::Maxout(ParameterStore& store, const Options& options)
    : pieces_(options.pieces),
      linear_(store, {.names = {options.name + ".maxout"},
                      .out = options.out * options.pieces,
                      .in = options.in,
                      .compute = DType::f32}),
      gamma_(store.add(options.name + ".norm.weight", {options.out})),
      beta_(store.add(options.name + ".norm.bias", {options.out})) {}

void Maxout::forward(Stream& s, Span y, CSpan input, CSpan residual) const {
  const Scratch scratch(s);
  const Span z = s.arena().take(DType::f32, input.rows, y.cols * pieces_);
  linear_.forward(s, z, input);
  maxout_layer_norm_forward(
      s, {.y = y, .x = residual, .z = z, .gamma = gamma_.value, .beta = beta_.value, .pieces = pieces_, .eps = kEps});
}

}  // namespace aid::nn
