// The attention half of an encoder layer, for every row or for the [CLS] rows alone:
//   y = LayerNorm(x + drop(Wo softmax(q kᵀ / sqrt(d)) v + bo)),  [q k v] = x [Wq Wk Wv]ᵀ + [bq bk bv]
// For [CLS] alone only keys and values are computed of every token.
#pragma once

#include <optional>

#include "nn/layers/add_norm.h"
#include "nn/layers/linear.h"
#include "nn/packed_batch.h"

namespace aid::nn {

class SelfAttention {
 public:
  struct Names {
    std::string query, key, value, output, norm;
  };
  SelfAttention(ParameterStore& store, const Names& names, const BertConfig& config, DType compute, uint32_t layer,
                Rows rows);

  void update_weights(Stream& s);

  struct Saved {
    CSpan x, x_rows;    // the layer's input, and those of its rows that are computed
    Span q, projected;  // the last columns of projected are k and v; q is a part of it when every row is computed
    Span context, lse;
    AddNorm::Saved norm;
  };
  // y: [rows, hidden], x: [tokens, hidden]. saved: null in inference.
  void forward(Stream& s, Span y, CSpan x, const PackedBatch& batch, Saved* saved) const;
  // dy of the rows -> dx of every token. The memory of dy is used up.
  SplitGradient backward(Stream& s, const SplitGradient& dy, const PackedBatch& batch, const Saved& saved) const;

 private:
  int64_t projected_cols() const { return (query_ ? 2 : 3) * hidden_; }
  Dropout probability_dropout(const DropoutKey& key) const;
  Dropout output_dropout(const DropoutKey& key) const;

  Rows rows_;
  uint32_t layer_;
  int64_t hidden_, heads_;
  float scale_, attention_dropout_, hidden_dropout_;
  std::optional<Linear> query_;  // when only [CLS] is computed; else a part of projection_
  Linear projection_;            // query, key, value; or key, value
  Linear output_;
  AddNorm norm_;
};

}  // namespace aid::nn
