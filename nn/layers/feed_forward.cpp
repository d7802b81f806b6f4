#include "nn/layers/feed_forward.h"

#include "kernels/elements/activation.h"

namespace aid::nn {

FeedForward::FeedForward(ParameterStore& store, const Names& names, const BertConfig& config, DType compute,
                         uint32_t layer)
    : layer_(layer),
      hidden_(config.hidden),
      intermediate_(config.intermediate),
      dropout_(config.hidden_dropout),
      activation_(config.activation),
      up_(store, {.names = {names.up}, .out = config.intermediate, .in = config.hidden, .compute = compute}),
      down_(store, {.names = {names.down}, .out = config.hidden, .in = config.intermediate, .compute = compute}),
      norm_(store, names.norm, config.hidden, config.layer_norm_eps) {}

void FeedForward::update_weights(Stream& s) {
  up_.update_weights(s);
  down_.update_weights(s);
}

Dropout FeedForward::dropout_of(const DropoutKey& key) const {
  return key.at(dropout_site::feed_forward_output(layer_), dropout_);
}

void FeedForward::forward(Stream& s, Span y, CSpan x, const DropoutKey& dropout, CSpan row_ids, Saved* saved) const {
  Arena& arena = s.arena();
  const auto begin = arena.mark();
  const Span delta = arena.take(x.dtype, x.rows, hidden_);
  if (saved != nullptr) {
    saved->x = x;
    saved->pre_activation = arena.take(x.dtype, x.rows, intermediate_);
  }
  const auto scratch = arena.mark();
  const Span activated = arena.take(x.dtype, x.rows, intermediate_);
  if (saved != nullptr) {
    up_.forward(s, saved->pre_activation, x);
    activation_forward(s, {.y = activated, .x = saved->pre_activation, .activation = activation_});
  } else {
    up_.forward(s, activated, x, activation_);
  }
  down_.forward(s, delta, activated);
  arena.rewind(scratch);
  norm_.forward(s, {.y = y,
                    .x = x,
                    .delta = delta,
                    .dropout = dropout_of(dropout),
                    .row_ids = row_ids,
                    .saved = saved != nullptr ? &saved->norm : nullptr});
  if (saved == nullptr) arena.rewind(begin);
}

SplitGradient FeedForward::backward(Stream& s, const SplitGradient& dy, const DropoutKey& dropout, CSpan row_ids,
                                    const Saved& saved) const {
  Arena& arena = s.arena();
  const DType dtype = dy.product.dtype;
  const int64_t rows = dy.product.rows;
  // The gradient of x: what comes back through the residual takes dy.product's place, what comes through the products
  // dy.residual's.
  const Span residual = dy.product;
  const Span product = dy.residual.empty() ? arena.take(dtype, rows, hidden_) : dy.residual;
  const auto scratch = arena.mark();
  const Span ddelta =
      norm_.backward(s, {.dy = dy, .dropout = dropout_of(dropout), .row_ids = row_ids, .saved = saved.norm});

  const Span dpre = arena.take(dtype, rows, intermediate_), activated = arena.take(dtype, rows, intermediate_);
  down_.backward_input(s, dpre, ddelta);
  activation_backward(s,
                      {.dx = dpre, .y = activated, .dy = dpre, .x = saved.pre_activation, .activation = activation_});
  down_.backward_weight(s, ddelta, activated);
  up_.backward_weight(s, dpre, saved.x);
  up_.backward_input(s, product, dpre);
  arena.rewind(scratch);
  return {.product = product, .residual = residual};
}

}  // namespace aid::nn
