// What a text categorizer reads: a batch of documents. A word that comes again is embedded once.
#pragma once

#include <cstdint>
#include <vector>

namespace aid::nn {

struct TextCatBatch {
  // Of each distinct word, where the model has a tok2vec.
  int64_t words = 0;
  std::vector<int64_t> ids;         // [tables, words]: 64-bit ids of its attributes
  std::vector<int32_t> characters;  // [characters, words]: its bytes; 255: it has no more
  std::vector<float> vectors;       // [words, vector_width]; zeros: it has none
  // Of each document.
  std::vector<int32_t> word_of_token;      // [tokens]: the word
  std::vector<int32_t> first_token = {0};  // [documents + 1]
  std::vector<int32_t> bag_index;          // [items]: into a class's weights, in the order of summation
  std::vector<float> bag_values;           // [items]
  std::vector<int32_t> first_item = {0};   // [documents + 1]; of a model without bag {0}

  int64_t documents() const { return static_cast<int64_t>(first_token.size()) - 1; }
  int64_t tokens() const { return static_cast<int64_t>(word_of_token.size()); }
};

}  // namespace aid::nn
