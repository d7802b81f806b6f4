#include "nn/layers/self_attention.h"

#include <cmath>

#include "kernels/lookup/gather_rows.h"
#include "kernels/matrix/attention.h"

namespace aid::nn {
namespace {

using Strings = std::vector<std::string>;

std::optional<Linear> make_query(ParameterStore& store, const SelfAttention::Names& names, int64_t hidden,
                                 DType compute, Rows rows) {
  if (rows == Rows::all) return std::nullopt;
  return Linear(store, {.names = {names.query}, .out = hidden, .in = hidden, .compute = compute});
}

// Keys and values stand last in what the projection computes.
template <class AnySpan>
auto keys(const AnySpan& projected, int64_t hidden) {
  return projected.col_slice(projected.cols - 2 * hidden, projected.cols - hidden);
}
template <class AnySpan>
auto values(const AnySpan& projected, int64_t hidden) {
  return projected.col_slice(projected.cols - hidden, projected.cols);
}

}  // namespace

SelfAttention::SelfAttention(ParameterStore& store, const Names& names, const BertConfig& config, DType compute,
                             uint32_t layer, Rows rows)
    : rows_(rows),
      layer_(layer),
      hidden_(config.hidden),
      heads_(config.heads),
      scale_(1.0f / std::sqrt(static_cast<float>(config.hidden) / static_cast<float>(config.heads))),
      attention_dropout_(config.attention_dropout),
      hidden_dropout_(config.hidden_dropout),
      query_(make_query(store, names, hidden_, compute, rows)),
      projection_(store, {.names = rows == Rows::all ? Strings{names.query, names.key, names.value}
                                                     : Strings{names.key, names.value},
                          .out = hidden_,
                          .in = hidden_,
                          .compute = compute}),
      output_(store, {.names = {names.output}, .out = hidden_, .in = hidden_, .compute = compute}),
      norm_(store, names.norm, hidden_, config.layer_norm_eps) {}

void SelfAttention::update_weights(Stream& s) {
  if (query_) query_->update_weights(s);
  projection_.update_weights(s);
  output_.update_weights(s);
}

Dropout SelfAttention::probability_dropout(const DropoutKey& key) const {
  return key.at(dropout_site::attention_probabilities(layer_), attention_dropout_);
}
Dropout SelfAttention::output_dropout(const DropoutKey& key) const {
  return key.at(dropout_site::attention_output(layer_), hidden_dropout_);
}

void SelfAttention::forward(Stream& s, Span y, CSpan x, const PackedBatch& batch, Saved* saved) const {
  Arena& arena = s.arena();
  const PackedBatch::PerRows& rows = batch.of(rows_);
  const auto begin = arena.mark();
  Saved kept{.x = x, .x_rows = x};
  kept.context = arena.take(x.dtype, rows.count, hidden_);
  if (saved != nullptr) kept.lse = arena.take(DType::f32, rows.count, heads_);
  const Span delta = arena.take(x.dtype, rows.count, hidden_);
  if (rows_ == Rows::first) {
    const Span first = arena.take(x.dtype, rows.count, hidden_);
    gather_rows(s, {.y = first, .x = x, .index = batch.first});
    kept.x_rows = first;
  }

  const auto scratch = arena.mark();
  kept.projected = arena.take(x.dtype, batch.tokens, projected_cols());
  projection_.forward(s, kept.projected, x);
  if (query_) {
    kept.q = arena.take(x.dtype, rows.count, hidden_);
    query_->forward(s, kept.q, kept.x_rows);
  } else {
    kept.q = kept.projected.col_slice(0, hidden_);
  }
  attention_forward(s, {.out = kept.context,
                        .lse = kept.lse,
                        .q = kept.q,
                        .k = keys(kept.projected, hidden_),
                        .v = values(kept.projected, hidden_),
                        .cu_q = rows.cu_seqlens,
                        .cu_k = batch.all.cu_seqlens,
                        .heads = static_cast<int>(heads_),
                        .scale = scale_,
                        .dropout = probability_dropout(batch.dropout),
                        .row_ids = rows.row_ids});
  if (saved == nullptr) arena.rewind(scratch);

  output_.forward(s, delta, kept.context);
  norm_.forward(s, {.y = y,
                    .x = kept.x_rows,
                    .delta = delta,
                    .dropout = output_dropout(batch.dropout),
                    .row_ids = rows.row_ids,
                    .saved = saved != nullptr ? &kept.norm : nullptr});
  if (saved == nullptr) {
    arena.rewind(begin);
  } else {
    *saved = kept;
  }
}

SplitGradient SelfAttention::backward(Stream& s, const SplitGradient& dy, const PackedBatch& batch,
                                      const Saved& saved) const {
  Arena& arena = s.arena();
  const DType dtype = dy.product.dtype;
  const PackedBatch::PerRows& rows = batch.of(rows_);
  const Span dx = rows_ == Rows::all ? dy.residual : arena.take(dtype, batch.tokens, hidden_);
  const auto scratch = arena.mark();
  const Span ddelta = norm_.backward(
      s, {.dy = dy, .dropout = output_dropout(batch.dropout), .row_ids = rows.row_ids, .saved = saved.norm});
  const Span dresidual = dy.product;

  const Span dcontext = dy.residual;  // no longer needed
  output_.backward_weight(s, ddelta, saved.context);
  output_.backward_input(s, dcontext, ddelta);

  const Span dprojected = arena.take(dtype, batch.tokens, projected_cols());
  const Span dq = query_ ? arena.take(dtype, rows.count, hidden_) : dprojected.col_slice(0, hidden_);
  attention_backward(s, {.dq = dq,
                         .dk = keys(dprojected, hidden_),
                         .dv = values(dprojected, hidden_),
                         .dout = dcontext,
                         .out = saved.context,
                         .lse = saved.lse,
                         .q = saved.q,
                         .k = keys(saved.projected, hidden_),
                         .v = values(saved.projected, hidden_),
                         .cu_q = rows.cu_seqlens,
                         .cu_k = batch.all.cu_seqlens,
                         .heads = static_cast<int>(heads_),
                         .scale = scale_,
                         .dropout = probability_dropout(batch.dropout),
                         .row_ids = rows.row_ids});
  projection_.backward_weight(s, dprojected, saved.x);
  projection_.backward_input(s, dx, dprojected);
  SplitGradient result{.product = dx, .residual = dresidual};
  if (query_) {
    // Few rows: they are added to those of every token.
    const Span dx_rows = dcontext;
    query_->backward_weight(s, dq, saved.x_rows);
    query_->backward_input(s, dx_rows, dq);
    scatter_add_rows(s, {.y = dx, .x = dx_rows, .index = batch.first});
    scatter_add_rows(s, {.y = dx, .x = dresidual, .index = batch.first});
    result.residual = {};
  }
  arena.rewind(scratch);
  return result;
}

}  // namespace aid::nn
