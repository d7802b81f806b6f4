#include "nn/layers/classifier_head.h"

#include "kernels/elements/activation.h"
#include "kernels/elements/cast.h"
#include "kernels/elements/dropout.h"

namespace aid::nn {

ClassifierHead::ClassifierHead(ParameterStore& store, const Names& names, const BertConfig& config)
    : hidden_(config.hidden),
      dropout_(config.classifier_dropout),
      activation_(config.architecture == BertConfig::Architecture::bert ? Activation::tanh : Activation::relu),
      pooler_(store, {.names = {names.pooler}, .out = config.hidden, .in = config.hidden, .compute = DType::f32}),
      classifier_(store,
                  {.names = {names.classifier}, .out = config.labels, .in = config.hidden, .compute = DType::f32}) {}

void ClassifierHead::update_weights(Stream& s) {
  pooler_.update_weights(s);
  classifier_.update_weights(s);
}

// Forward and backward alike.
void ClassifierHead::drop(Stream& s, Span x, const PackedBatch& batch) const {
  const Dropout dropout = batch.dropout.at(dropout_site::classifier, dropout_);
  if (dropout.on()) dropout_forward(s, {.y = x, .x = x, .dropout = dropout, .row_ids = batch.one.row_ids});
}

void ClassifierHead::forward(Stream& s, Span logits, CSpan x, const PackedBatch& batch, Saved* saved) const {
  Arena& arena = s.arena();
  const auto begin = arena.mark();
  Saved kept{.x = x};
  if (x.dtype != DType::f32) {
    const Span wide = arena.take(DType::f32, x.rows, hidden_);
    cast(s, {.y = wide, .x = x});
    kept.x = wide;
  }
  kept.pre_activation = arena.take(DType::f32, x.rows, hidden_);
  kept.pooled = arena.take(DType::f32, x.rows, hidden_);
  pooler_.forward(s, kept.pre_activation, kept.x);
  activation_forward(s, {.y = kept.pooled, .x = kept.pre_activation, .activation = activation_});
  drop(s, kept.pooled, batch);
  classifier_.forward(s, logits, kept.pooled);
  if (saved == nullptr) {
    arena.rewind(begin);
  } else {
    *saved = kept;
  }
}

void ClassifierHead::backward(Stream& s, Span dx, CSpan dlogits, const PackedBatch& batch, const Saved& saved) const {
  Arena& arena = s.arena();
  const auto begin = arena.mark();
  const Span dpooled = arena.take(DType::f32, dx.rows, hidden_);
  classifier_.backward_weight(s, dlogits, saved.pooled);
  classifier_.backward_input(s, dpooled, dlogits);
  drop(s, dpooled, batch);
  activation_backward(s, {.dx = dpooled, .dy = dpooled, .x = saved.pre_activation, .activation = activation_});
  pooler_.backward_weight(s, dpooled, saved.x);
  if (dx.dtype == DType::f32) {
    pooler_.backward_input(s, dx, dpooled);
  } else {
    const Span wide = arena.take(DType::f32, dx.rows, hidden_);
    pooler_.backward_input(s, wide, dpooled);
    cast(s, {.y = dx, .x = wide});
  }
  arena.rewind(begin);
}

}  // namespace aid::nn
