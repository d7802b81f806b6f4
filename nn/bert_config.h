// The sizes and options of a BERT or DistilBERT classifier, after transformers' BertConfig and DistilBertConfig.
#pragma once

#include "kernels/matrix/linear.h"

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

// Throws std::invalid_argument naming the value that no such model has.
void check_config(const BertConfig& config);

}  // namespace aid::nn
