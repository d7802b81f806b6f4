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

Maxout::Saved Maxout::forward_training(Stream& s, Span y, CSpan input, CSpan residual, const Dropout& dropout,
                                       CSpan row_ids) const {
  Arena& arena = s.arena();
  const Span z = arena.take(DType::f32, input.rows, y.cols * pieces_);
  const Span mean = arena.take(DType::f32, input.rows), rstd = arena.take(DType::f32, input.rows);
  linear_.forward(s, z, input);
  maxout_layer_norm_forward(s, {.y = y,
                                .mean = mean,
                                .rstd = rstd,
                                .x = residual,
                                .z = z,
                                .gamma = gamma_.value,
                                .beta = beta_.value,
                                .pieces = pieces_,
                                .eps = kEps,
                                .dropout = dropout,
                                .row_ids = row_ids});
  return {.z = z, .mean = mean, .rstd = rstd, .dropout = dropout, .row_ids = row_ids};
}

void Maxout::backward(Stream& s, Span dinput, CSpan dy, CSpan input, const Saved& saved) const {
  maxout_layer_norm_backward(s, {.dz = saved.z,
                                 .dgamma = gamma_.gradient,
                                 .dbeta = beta_.gradient,
                                 .dy = dy,
                                 .z = saved.z,
                                 .mean = saved.mean,
                                 .rstd = saved.rstd,
                                 .gamma = gamma_.value,
                                 .pieces = pieces_,
                                 .dropout = saved.dropout,
                                 .row_ids = saved.row_ids});
  linear_.backward_weight(s, saved.z, input);
  linear_.backward_input(s, dinput, saved.z);
}

}  // namespace aid::nn
