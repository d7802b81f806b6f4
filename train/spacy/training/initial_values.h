// What a text categorizer's weights are before its first step: the numbers that spaCy draws after
// numpy.random.seed(seed), in its order (thinc/initializers.py; spacy/ml/models/textcat.py's init functions).
//   hash tables, a query      uniform in [-0.1, 0.1)
//   maxout, linear, vectors   uniform in +-sqrt(6 / (shape[0] + shape[1])) of thinc's shape: of maxout [out, pieces,
//   in] gelu                      normal, deviation sqrt(2 / in) LayerNorm                 1 and 0; biases, softmax,
//   bag, characters 0
#pragma once

#include "nn/textcat.h"
#include "train/spacy/architecture.h"

namespace aid::train {

void set_initial_values(nn::TextCat& network, const TextCatArchitecture& architecture, uint32_t seed);

}  // namespace aid::train
