// spaCy's tok2vec (spacy/ml/models/tok2vec.py). Every distinct word of a batch is embedded once:
//   e(word) = LN(maxout([characters, table_0[hash(id_0)], ..., W vector]))
// Then, on rows of all documents with `padding` rows of zeros before, between and after them,
//   x = x + LN(maxout([x[i-w], ..., x[i], ..., x[i+w]]))     for each of the encoder's layers
// The rows of padding change with the others, as in spaCy: they are what a document's first and last words see.
// In training every LN(...) is dropped from, of the embedding once for each token, and every table of hashes by
// columns: one mask of its columns for the batch. Sites of dropout: 0 the embedding, 1 and on the encoder's layers,
// then the tables. Rows: 0, 1, ... of the batch.
#pragma once

#include <optional>
#include <vector>

#include "nn/layers/dropout.h"
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

  struct Saved {
    CSpan row_ids, word_of_row;
    Dropout dropout;            // of the embedding
    std::vector<CSpan> scales;  // of each table
    CSpan concatenated;
    Maxout::Saved mix;
    std::vector<CSpan> inputs;  // of each of the encoder's layers
    std::vector<Maxout::Saved> layers;
  };
  // batch is what backward gets, too.
  Encoded forward_training(Stream& s, const TextCatBatch& batch, const DropoutKey& key, float p, Saved& saved) const;
  // drows: of the encoded rows, is used up.
  void backward(Stream& s, Span drows, const TextCatBatch& batch, const Saved& saved) const;
  uint32_t dropout_sites() const { return static_cast<uint32_t>(1 + layers_.size() + tables_.size()); }

 private:
  struct Rows {
    std::vector<int32_t> word, first;
  };
  Rows rows_of(const TextCatBatch& batch) const;
  Span embed(Stream& s, const TextCatBatch& batch) const;
  Span embed_training(Stream& s, const TextCatBatch& batch, const DropoutKey& key, float p, Saved& saved) const;
  // What the embedding's maxout reads. scales: of each table; or none.
  Span concatenate(Stream& s, const TextCatBatch& batch, const std::vector<CSpan>& scales) const;
  Span with_zero_row(Stream& s, const TextCatBatch& batch) const;
  void embed_backward(Stream& s, CSpan dembedded, const TextCatBatch& batch, const Saved& saved) const;

  Tok2VecConfig config_;
  const Parameter* characters_ = nullptr;
  std::vector<const Parameter*> tables_;
  std::optional<Linear> projection_;
  Maxout mix_;
  std::vector<Maxout> layers_;
};

}  // namespace aid::nn
