// The feed-forward half of an encoder layer, row by row: y = LayerNorm(x + drop(W2 f(W1 x + b1) + b2))
#pragma once

#include "nn/layers/add_norm.h"
#include "nn/layers/linear.h"
#include "nn/packed_batch.h"

namespace aid::nn {

class FeedForward {
 public:
  struct Names {
    std::string up, down, norm;
  };
  FeedForward(ParameterStore& store, const Names& names, const BertConfig& config, DType compute, uint32_t layer);

  void update_weights(Stream& s);

  struct Saved {
    CSpan x;
    Span pre_activation;  // W1 x + b1; f of it is computed again rather than kept
    AddNorm::Saved norm;
  };
  // y, x: [rows, hidden]. saved: null in inference.
  void forward(Stream& s, Span y, CSpan x, const DropoutKey& dropout, CSpan row_ids, Saved* saved) const;
  // The memory of dy is used up.
  SplitGradient backward(Stream& s, const SplitGradient& dy, const DropoutKey& dropout, CSpan row_ids,
                         const Saved& saved) const;

 private:
  Dropout dropout_of(const DropoutKey& key) const;

  uint32_t layer_;
  int64_t hidden_, intermediate_;
  float dropout_;
  Activation activation_;
  Linear up_, down_;
  AddNorm norm_;
};

}  // namespace aid::nn
