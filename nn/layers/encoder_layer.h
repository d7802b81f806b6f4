// One layer of the encoder: self-attention, then feed-forward.
#pragma once

#include "nn/layers/feed_forward.h"
#include "nn/layers/self_attention.h"

namespace aid::nn {

class EncoderLayer {
 public:
  struct Names {
    SelfAttention::Names attention;
    FeedForward::Names feed_forward;
  };
  EncoderLayer(ParameterStore& store, const Names& names, const BertConfig& config, DType compute, uint32_t layer,
               Rows rows);

  void update_weights(Stream& s);

  struct Saved {
    SelfAttention::Saved attention;
    FeedForward::Saved feed_forward;
  };
  // y: [rows, hidden], x: [tokens, hidden]. saved: null in inference.
  void forward(Stream& s, Span y, CSpan x, const PackedBatch& batch, Saved* saved) const;
  // dy of the rows -> dx of every token. The memory of dy is used up.
  SplitGradient backward(Stream& s, const SplitGradient& dy, const PackedBatch& batch, const Saved& saved) const;

 private:
  Rows rows_;
  SelfAttention attention_;
  FeedForward feed_forward_;
};

}  // namespace aid::nn
