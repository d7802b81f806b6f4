// A spaCy 3 pipeline's text categorizer: what `aid predict`, `aid eval` and `aid info` open.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nn/textcat.h"
#include "tokenizer/spacy/tokenizer.h"
#include "train/spacy/architecture.h"
#include "train/spacy/static_vectors.h"

namespace aid::train {

struct TextCatPipeline {
  TextCatArchitecture architecture;
  std::vector<std::string> labels;
  std::optional<StaticVectors> vectors;
  tokenizer::spacy::Tokenizer tokenizer;
  std::map<std::string, Tensor> values;      // on the CPU the network's parameters are these
  nn::TextCat network;                       // its update_weights() is still to be called
  std::vector<std::filesystem::path> files;  // of weights
};

// Throws io::Error and tokenizer::Error: see architecture.h, thinc_model.h, static_vectors.h, tokenizer/spacy/rules.h.
TextCatPipeline open_textcat_pipeline(const std::filesystem::path& folder, Device device);

}  // namespace aid::train
