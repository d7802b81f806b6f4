#include "nn/layers/embedding.h"

#include "kernels/lookup/embedding_layer_norm.h"

namespace aid::nn {
namespace {

Parameter& add_positions(ParameterStore& store, const std::string& prefix, const BertConfig& config) {
  Parameter& positions = store.add(prefix + "position_embeddings.weight", {config.max_positions, config.hidden});
  positions.trainable = !config.freeze_positions;
  return positions;
}

EmbeddingTables tables_of(const Parameter& word, const Parameter& position, const Parameter* type) {
  return {.word = word.value, .position = position.value, .type = type != nullptr ? type->value : CSpan{}};
}

}  // namespace

Embedding::Embedding(ParameterStore& store, const std::string& prefix, const BertConfig& config)
    : word_(store.add(prefix + "word_embeddings.weight", {config.vocab_size, config.hidden})),
      position_(add_positions(store, prefix, config)),
      type_(config.types > 0 ? &store.add(prefix + "token_type_embeddings.weight", {config.types, config.hidden})
                             : nullptr),
      gamma_(store.add(prefix + "LayerNorm.weight", {config.hidden})),
      beta_(store.add(prefix + "LayerNorm.bias", {config.hidden})),
      eps_(config.layer_norm_eps),
      dropout_(config.hidden_dropout),
      padding_idx_(config.padding_idx) {}

void Embedding::forward(Stream& s, Span y, const PackedBatch& batch, Saved* saved) const {
  Saved statistics;
  if (saved != nullptr) {
    statistics = {.mean = s.arena().take(DType::f32, batch.tokens), .rstd = s.arena().take(DType::f32, batch.tokens)};
    *saved = statistics;
  }
  embedding_layer_norm_forward(s, {.y = y,
                                   .mean = statistics.mean,
                                   .rstd = statistics.rstd,
                                   .ids = batch.ids,
                                   .positions = batch.positions,
                                   .types = batch.types,
                                   .tables = tables_of(word_, position_, type_),
                                   .gamma = gamma_.value,
                                   .beta = beta_.value,
                                   .eps = eps_,
                                   .dropout = batch.dropout.at(dropout_site::embeddings, dropout_),
                                   .row_ids = batch.all.row_ids});
}

void Embedding::backward(Stream& s, const SplitGradient& dy, const PackedBatch& batch, const Saved& saved) const {
  embedding_layer_norm_backward(s, {.dword = word_.gradient,
                                    .dposition = position_.trainable ? position_.gradient : Span{},
                                    .dtype_table = type_ != nullptr ? type_->gradient : Span{},
                                    .dgamma = gamma_.gradient,
                                    .dbeta = beta_.gradient,
                                    .dy = dy.product,
                                    .dy2 = dy.residual,
                                    .mean = saved.mean,
                                    .rstd = saved.rstd,
                                    .ids = batch.ids,
                                    .positions = batch.positions,
                                    .types = batch.types,
                                    .tables = tables_of(word_, position_, type_),
                                    .gamma = gamma_.value,
                                    .padding_id = padding_idx_,
                                    .dropout = batch.dropout.at(dropout_site::embeddings, dropout_),
                                    .row_ids = batch.all.row_ids});
}

}  // namespace aid::nn
