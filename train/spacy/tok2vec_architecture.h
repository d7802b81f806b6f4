// Internal to architecture.cpp: a tok2vec's part of config.cfg, and how thinc lays it out.
#pragma once

#include "train/spacy/architecture.h"
#include "train/spacy/config_block.h"

namespace aid::train {

// chain(chain(maxout, layernorm), dropout): thinc's Maxout(normalize=True, dropout=0.0).
ThincNode maxout_node(const std::string& target, int64_t out, int64_t in, int64_t pieces);
// W [out, in] and b of a linear, softmax or gelu layer.
ThincNode linear_node(const std::string& name, const std::string& target, int64_t out, int64_t in);

// Fills config.tok2vec and what is read of words; returns the network's tree.
ThincNode read_tok2vec(const ConfigBlock& block, const VectorWidth& vector_width, TextCatArchitecture& result);

}  // namespace aid::train
