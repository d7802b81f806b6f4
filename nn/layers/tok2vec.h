// spaCy's tok2vec (spacy/ml/models/tok2vec.py). Every distinct word of a batch is embedded once:
//   e(word) = LN(maxout([characters, table_0[hash(id_0)], ..., W vector]))
// Then, on rows of all documents with `padding` rows of zeros before, between and after them,
//   x = x + LN(maxout([x[i-w], ..., x[i], ..., x[i+w]]))     for each of the encoder's layers
// The rows of padding change with the others, as in spaCy: they are what a document's first and last words see.
#pragma once

#include <optional>

#include "nn/layers/maxout.h"
#include "nn/textcat_batch.h"
#include "nn/textcat_config.h"

namespace aid::nn {

class Tok2Vec {
 public:
  // Parameters: PREFIXembed.characters [count * 256, width], PREFIXembed.table.I [rows, width],
  // PREFIXembed.vectors.weight [width, vector_width], PREFIXembed.maxout.*, PREFIXembed.norm.*, PREFIXencode.I.*.
  Tok2Vec(ParameterStore& store, const std::string& prefix, const Tok2VecConfig& config);
  static int64_t parameters(const Tok2VecConfig& config);  // how many

  void update_weights(Stream& s);

  struct Encoded {
    CSpan rows;   // f32 [rows, width]
    CSpan first;  // i32 [2 * documents + 2]: rows of padding and of documents in turn, from padding to padding
  };
  // In the stream's arena.
  Encoded forward(Stream& s, const TextCatBatch& batch) const;

 private:
  Span embed(Stream& s, const TextCatBatch& batch) const;

  Tok2VecConfig config_;
  const Parameter* characters_ = nullptr;
  std::vector<const Parameter*> tables_;
  std::optional<Linear> projection_;
  Maxout mix_;
  std::vector<Maxout> layers_;
};

}  // namespace aid::nn
