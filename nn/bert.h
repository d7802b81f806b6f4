// BERT (Devlin et al. 2019) and DistilBERT (Sanh et al. 2019) encoders with their sequence-classification heads,
// forward and backward, equal to transformers' BertForSequenceClassification and DistilBertForSequenceClassification:
//   x = LN(word + position + type) ; per layer: x = LN(x + drop(Wo·attention(x))), x = LN(x + drop(W2·act(W1·x)))
//   BERT:       logits = Wc·drop(tanh(Wp·x[CLS]))          DistilBERT: logits = Wc·drop(relu(Wp·x[CLS]))
// Texts are packed; there is no padding. Only [CLS] is read, so the last layer computes queries, attention output, FFN
// and norms for that row alone: exact, and most of a layer saved, forward and backward.
#pragma once

#include <memory>
#include <span>

#include "kernels/core/stream.h"
#include "nn/bert_config.h"
#include "nn/layers/dropout.h"
#include "nn/mode.h"
#include "nn/parameter.h"
#include "nn/token_batch.h"

namespace aid::nn {

class BertClassifier {
 public:
  using Mode = nn::Mode;
  using DropoutKey = nn::DropoutKey;

  // compute: f32 or bf16; on a GPU, in inference, f16 too.
  BertClassifier(const BertConfig& config, DType compute, Mode mode, Device device = Device::cpu);
  ~BertClassifier();
  BertClassifier(BertClassifier&&) noexcept;
  BertClassifier& operator=(BertClassifier&&) noexcept;

  const BertConfig& config() const;
  std::span<Parameter> parameters();

  // Gives a parameter its value: the host's, f32, the parameter's size. Inference on the CPU only refers to it.
  void set_value(Parameter& parameter, CSpan value);
  // Draws a parameter as transformers does (normal with initializer_range; biases 0; LayerNorm 1 and 0; padding row 0),
  // by Philox keyed with (seed, name).
  void initialise(Parameter& parameter, uint64_t seed);
  // Gives the weights to the matrix library: after loading and after every optimizer step.
  void update_weights(Stream& s);

  // logits, f32 [sequences, labels], in the stream's arena until its release().
  Span forward(Stream& s, const TokenBatch& batch);

  // Training: forward keeps in the arena what backward needs; backward adds to every parameter's gradient.
  Span forward_training(Stream& s, const TokenBatch& batch, const DropoutKey& dropout);
  void backward(Stream& s, CSpan dlogits);  // of the last forward_training

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace aid::nn
