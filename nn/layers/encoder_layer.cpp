#include "nn/layers/encoder_layer.h"

namespace aid::nn {

EncoderLayer::EncoderLayer(ParameterStore& store, const Names& names, const BertConfig& config, DType compute,
                           uint32_t layer, Rows rows)
    : rows_(rows),
      attention_(store, names.attention, config, compute, layer, rows),
      feed_forward_(store, names.feed_forward, config, compute, layer) {}

void EncoderLayer::update_weights(Stream& s) {
  attention_.update_weights(s);
  feed_forward_.update_weights(s);
}

void EncoderLayer::forward(Stream& s, Span y, CSpan x, const PackedBatch& batch, Saved* saved) const {
  const auto begin = s.arena().mark();
  const Span middle = s.arena().take(x.dtype, y.rows, y.cols);
  attention_.forward(s, middle, x, batch, saved != nullptr ? &saved->attention : nullptr);
  feed_forward_.forward(s, y, middle, batch.dropout, batch.of(rows_).row_ids,
                        saved != nullptr ? &saved->feed_forward : nullptr);
  if (saved == nullptr) s.arena().rewind(begin);
}

SplitGradient EncoderLayer::backward(Stream& s, const SplitGradient& dy, const PackedBatch& batch,
                                     const Saved& saved) const {
  const SplitGradient middle =
      feed_forward_.backward(s, dy, batch.dropout, batch.of(rows_).row_ids, saved.feed_forward);
  return attention_.backward(s, middle, batch, saved.attention);
}

}  // namespace aid::nn
