// What a text categorizer of spaCy's is made of: the numbers of its architecture, whatever file they come from.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/rows/segment_reduce.h"

namespace aid::nn {

// Words to vectors, and vectors to vectors that know their neighbours (spaCy's Tok2Vec of MultiHashEmbed or
// CharacterEmbed, and MaxoutWindowEncoder; HashEmbedCNN is the two).
struct Tok2VecConfig {
  struct Characters {
    int64_t count;  // UTF-8 bytes of a word, from both ends
    int64_t width;  // of each one's embedding
  };
  struct Table {
    int64_t rows;
    uint32_t seed;
  };
  int64_t width = 0;
  // What is concatenated for each word, in this order.
  std::optional<Characters> characters;
  std::vector<Table> tables;  // hash embeddings of one attribute each, `width` wide
  int64_t vector_width = 0;   // static vectors, projected to `width`; 0: none
  int64_t embed_pieces = 3;
  int64_t depth = 0, window = 1, pieces = 3;

  // Rows of zeros before, between and after documents: as far as the network sees.
  int64_t padding() const { return depth * window; }
  int64_t concatenated() const {
    const auto inputs = static_cast<int64_t>(tables.size()) + (vector_width > 0 ? 1 : 0);
    return (characters ? characters->count * characters->width : 0) + width * inputs;
  }
};

struct TextCatConfig {
  // A linear model of hashed n-grams.
  struct Bag {
    int64_t length;  // weights of a class
    // From one class's weight of an n-gram to the next one's: `length`, or 1 in models of SparseLinear.v1.
    int64_t class_stride;
    bool output_layer;  // whether probabilities come of it, not sums
  };
  // How a document's vectors become one.
  enum class Pooling : uint8_t {
    reductions,       // of each of `reductions`, one after the other
    attention,        // sum weighted by a query's products with them, then a residual maxout
    keyed_attention,  // the same, by products with keys made of them
  };

  int64_t labels = 0;
  bool exclusive = true;  // softmax; else each label by itself, logistic
  std::optional<Bag> bag;
  std::optional<Tok2VecConfig> tok2vec;  // one of the two at least
  Pooling pooling = Pooling::reductions;
  std::vector<Reduction> reductions;

  // Columns that the output layer reads.
  int64_t features() const {
    const int64_t pooled =
        tok2vec->width * (pooling == Pooling::reductions ? static_cast<int64_t>(reductions.size()) : 1);
    return pooled + (bag ? labels : 0);
  }
};

}  // namespace aid::nn
