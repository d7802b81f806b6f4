// Internal to textcat.cpp and textcat_training.cpp.
#pragma once

#include <optional>
#include <vector>

#include "nn/layers/maxout.h"
#include "nn/layers/tok2vec.h"
#include "nn/textcat.h"

namespace aid::nn {

// Not an empty span where there are no values: those stand for what is left out.
template <class T>
CSpan upload_all(Stream& s, const std::vector<T>& values) {
  static const T nothing{};
  return s.upload(vector(values.empty() ? &nothing : values.data(), static_cast<int64_t>(values.size())));
}

// Of rows of padding and of documents in turn, the documents'.
template <class AnySpan>
AnySpan of_documents(AnySpan rows) {
  AnySpan documents = rows.row_slice(1, rows.rows);
  documents.rows = rows.rows / 2;
  documents.stride *= 2;
  return documents;
}

struct TextCat::State {
  State(const TextCatConfig& the_config, Device device, Mode mode);

  void activate(Stream& s, Span y, CSpan x) const;
  void bag_sums(Stream& s, Span y, const TextCatBatch& batch) const;
  void bag_forward(Stream& s, Span y, const TextCatBatch& batch) const;
  void pool(Stream& s, Span y, const Tok2Vec::Encoded& encoded) const;

  // textcat_training.cpp
  void pool_training(Stream& s, Span y, const DropoutKey& key, float p);
  // dx = the gradient of what activate() took, of dy and what it took and gave.
  void activate_backward(Stream& s, Span dx, CSpan dy, CSpan x, CSpan y) const;
  void bag_backward(Stream& s, CSpan dy) const;
  void pool_backward(Stream& s, CSpan dy) const;  // of a row for each run of padding and each document in turn

  TextCatConfig config;
  ParameterStore store;
  const Parameter *bag_weight = nullptr, *bag_bias = nullptr, *query = nullptr;
  std::optional<Tok2Vec> tok2vec;
  std::optional<Linear> key, output;
  std::optional<Maxout> pooled;

  // Of the last forward_training(), in the stream's arena.
  struct Saved {
    TextCatBatch batch;
    CSpan bag_sums, bag;  // bag: probabilities, or sums
    Tok2Vec::Saved tok2vec;
    Tok2Vec::Encoded encoded;
    std::vector<CSpan> which;             // of each reduction
    CSpan key_sums, keys, weights, sums;  // of attention
    Maxout::Saved pooled;
    CSpan features, output_sums, scores;
  } saved;
};

}  // namespace aid::nn
