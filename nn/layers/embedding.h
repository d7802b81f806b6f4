// BERT's input layer: word, position and token-type embeddings, summed, normalised, dropped.
#pragma once

#include "nn/layers/add_norm.h"
#include "nn/packed_batch.h"

namespace aid::nn {

class Embedding {
 public:
  // Parameters are named prefix + "word_embeddings.weight" and so on.
  Embedding(ParameterStore& store, const std::string& prefix, const BertConfig& config);

  struct Saved {
    Span mean, rstd;
  };
  // y: [tokens, hidden]. saved: null in inference.
  void forward(Stream& s, Span y, const PackedBatch& batch, Saved* saved) const;
  void backward(Stream& s, const SplitGradient& dy, const PackedBatch& batch, const Saved& saved) const;

 private:
  const Parameter &word_, &position_;
  const Parameter* type_;  // null: the model has no token types
  const Parameter &gamma_, &beta_;
  float eps_, dropout_;
  int padding_idx_;
};

}  // namespace aid::nn
