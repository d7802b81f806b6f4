// The head of a sequence classifier, on the [CLS] rows: logits = Wc drop(f(Wp x + bp)) + bc, f = tanh (BERT's pooler)
// or ReLU (DistilBERT's pre-classifier). Always in f32: it is a thousandth of the work, and logits are what is
// compared.
#pragma once

#include "nn/layers/linear.h"
#include "nn/packed_batch.h"

namespace aid::nn {

class ClassifierHead {
 public:
  struct Names {
    std::string pooler, classifier;
  };
  ClassifierHead(ParameterStore& store, const Names& names, const BertConfig& config);

  void update_weights(Stream& s);

  struct Saved {
    CSpan x;                      // f32
    Span pre_activation, pooled;  // pooled: after dropout
  };
  // logits: f32 [sequences, labels], x: [sequences, hidden]. saved: null in inference.
  void forward(Stream& s, Span logits, CSpan x, const PackedBatch& batch, Saved* saved) const;
  // dx: [sequences, hidden], f32 or bf16
  void backward(Stream& s, Span dx, CSpan dlogits, const PackedBatch& batch, const Saved& saved) const;

 private:
  void drop(Stream& s, Span x, const PackedBatch& batch) const;

  int64_t hidden_;
  float dropout_;
  Activation activation_;
  Linear pooler_, classifier_;
};

}  // namespace aid::nn
