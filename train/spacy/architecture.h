// From config.cfg to what a text categorizer is: which network it makes, how its file is laid out, what it reads of
// words.
#pragma once

#include <functional>
#include <optional>

#include "nn/textcat_config.h"
#include "tokenizer/spacy/config_file.h"
#include "train/spacy/thinc_node.h"

namespace aid::train {

struct TextCatArchitecture {
  std::string name;       // "spacy.TextCatEnsemble.v2"
  std::string component;  // in the pipeline: its folder
  nn::TextCatConfig config;
  ThincNode tree;  // of COMPONENT/model

  struct Tok2VecComponent {
    std::string name;
    ThincNode tree;
  };
  std::optional<Tok2VecComponent> tok2vec_component;  // whose output the categorizer listens to

  // What is read of a word: by each hash table, and by the bag (spacy/attrs.pyx).
  std::vector<uint64_t> attributes;
  uint64_t bag_attribute = 0;
  int64_t ngram_size = 1;
  bool last_vector_for_unknown = false;  // StaticVectors.v1: a word without vector has the table's last
};

struct TextCatComponent {
  std::string name;
  std::optional<std::string> tok2vec;  // the component before it that sets doc.tensor
};
// The pipeline's text categorizer. Throws io::Error for a pipeline without one or with several, and where a component
// before it may change what it reads.
TextCatComponent find_textcat(const tokenizer::spacy::ConfigFile& config);

// labels: how many. vector_width: called where the model has static vectors for the width of the pipeline's; 0: it has
// none. Throws io::Error where an architecture or a part of it is not reproduced: names the file, the section, what was
// found and what is known.
using VectorWidth = std::function<int64_t()>;
TextCatArchitecture read_architecture(const tokenizer::spacy::ConfigFile& config, const TextCatComponent& component,
                                      int64_t labels, const VectorWidth& vector_width);

}  // namespace aid::train
