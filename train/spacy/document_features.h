// What a text categorizer reads of documents: the distinct words with the ids of their attributes, and n-grams by their
// hashes (spacy/ml/featureextractor.py, extract_ngrams.py; thinc/layers/sparselinear.pyx).
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "nn/textcat_batch.h"
#include "tokenizer/spacy/tokenizer.h"
#include "train/spacy/architecture.h"
#include "train/spacy/static_vectors.h"

namespace aid::train {

struct DocumentFeatures {
  // Where the model has a tok2vec.
  struct Word {
    uint64_t orth, norm;
    bool space;  // whether a space follows, where the model reads that
    bool operator==(const Word&) const = default;
  };
  std::vector<Word> words;          // distinct
  std::vector<int64_t> ids;         // [words, tables]
  std::vector<uint8_t> characters;  // [words, characters]
  std::vector<int32_t> vectors;     // [words]: rows of the static vectors, -1: none
  std::vector<int32_t> word_of_token;
  // Where it has a bag: two weights of each distinct n-gram, ascending by its key.
  std::vector<int32_t> bag_index;
  std::vector<float> bag_values;
  int64_t tokens = 0;
};

class FeatureReader {
 public:
  // Both live as long. vectors: null without static vectors.
  FeatureReader(const TextCatArchitecture& architecture, const StaticVectors* vectors)
      : architecture_(&architecture), vectors_(vectors) {}

  // The tokens are the tokenizer's of that text, valid UTF-8. From any thread.
  DocumentFeatures read(std::string_view text, std::span<const tokenizer::spacy::Token> tokens) const;

  // One after the other; a word that several have stands there once.
  nn::TextCatBatch batch(std::span<const DocumentFeatures* const> documents) const;

 private:
  void read_words(std::string_view text, std::span<const tokenizer::spacy::Token> tokens,
                  DocumentFeatures& features) const;
  void read_bag(std::span<const tokenizer::spacy::Token> tokens, DocumentFeatures& features) const;

  const TextCatArchitecture* architecture_;
  const StaticVectors* vectors_;
};

}  // namespace aid::train
