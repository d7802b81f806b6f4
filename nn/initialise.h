// Initial values as transformers draws them (PreTrainedModel._init_weights): matrices and embeddings normal with
// standard deviation initializer_range, the padding word's row 0, biases 0, LayerNorm weights 1; DistilBERT's frozen
// positions sinusoidal. The numbers are Philox's, keyed by the seed and the parameter's name, so that a value depends
// neither on the order nor on the number of the other parameters.
#pragma once

#include "nn/bert_config.h"
#include "nn/parameter.h"

namespace aid::nn {

// In the parameter's order; it needs no memory yet.
std::vector<float> initial_values(const Parameter& parameter, const BertConfig& config, uint64_t seed);

}  // namespace aid::nn
