// BERT (Devlin et al. 2019) and DistilBERT (Sanh et al. 2019) encoders with their sequence-classification heads,
// forward and backward, equal to transformers' BertForSequenceClassification and DistilBertForSequenceClassification:
//   x = LN(word + position + type) ; per layer: x = LN(x + drop(Wo·attention(x))), x = LN(x + drop(W2·act(W1·x)))
//   BERT:       logits = Wc·drop(tanh(Wp·x[CLS]))          DistilBERT: logits = Wc·drop(relu(Wp·x[CLS]))
// Texts are packed; there is no padding. Only [CLS] is read, so the last layer computes queries, attention output, FFN
// and norms for that row alone: exact, and most of a layer saved, forward and backward.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/core/stream.h"
#include "kernels/matrix/linear.h"
#include "nn/parameter.h"

namespace aid::nn {

struct BertConfig {
  enum class Architecture : uint8_t { bert, distilbert };
  Architecture architecture = Architecture::bert;
  int64_t vocab_size = 0, hidden = 0, layers = 0, heads = 0, intermediate = 0, max_positions = 0;
  int64_t types = 0;  // token types; 0 for DistilBERT
  int64_t labels = 0;
  Activation activation = Activation::gelu_erf;
  float layer_norm_eps = 1e-12f;
  float hidden_dropout = 0.1f, attention_dropout = 0.1f, classifier_dropout = 0.1f;
  int padding_idx = -1;           // this word's embedding gets no gradient
  bool freeze_positions = false;  // DistilBERT's sinusoidal table
  float initializer_range = 0.02f;
};

// Texts of a batch, one after the other, each with its [CLS] and [SEP].
struct TokenBatch {
  std::vector<int32_t> ids;         // [tokens]
  std::vector<int32_t> types;       // [tokens], or empty: all 0
  std::vector<int32_t> cu_seqlens;  // [sequences + 1], from 0
  // Training: what dropout is keyed by, [sequences]: the place of each sequence in the optimizer step, whatever
  // micro-batch it travels in. Below 2^16.
  std::vector<int32_t> sequence_ids;

  int64_t sequences() const { return static_cast<int64_t>(cu_seqlens.size()) - 1; }
  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
};

class BertClassifier {
 public:
  enum class Mode : uint8_t { inference, training };

  BertClassifier(const BertConfig& config, DType compute, Mode mode);
  ~BertClassifier();
  BertClassifier(BertClassifier&&) noexcept;
  BertClassifier& operator=(BertClassifier&&) noexcept;

  const BertConfig& config() const;
  std::span<Parameter> parameters();

  // Gives a parameter its value (f32, the parameter's size). Training copies it; inference only refers to it.
  void set_value(Parameter& parameter, CSpan value);
  // Draws a parameter as transformers does (normal with initializer_range; biases 0; LayerNorm 1 and 0; padding row 0),
  // by Philox keyed with (seed, name).
  void initialise(Parameter& parameter, uint64_t seed);
  // Reorders the weights for the matrix library: after loading and after every optimizer step.
  void update_weights(Stream& s);

  // logits, f32 [sequences, labels], in the stream's arena until its release().
  Span forward(Stream& s, const TokenBatch& batch);

  // Training: forward keeps in the arena what backward needs; backward adds to every parameter's gradient.
  struct DropoutKey {
    uint64_t seed;
    uint32_t step;
    bool on = true;
  };
  Span forward_training(Stream& s, const TokenBatch& batch, const DropoutKey& dropout);
  void backward(Stream& s, CSpan dlogits);  // of the last forward_training

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace aid::nn
