#include "train/text/text_batch.h"

namespace aid::train {

TextBatch make_batch(const EncodedTexts& all, std::span<const int32_t> texts, int64_t first_sequence_id) {
  TextBatch batch;
  batch.tokens.cu_seqlens.push_back(0);
  batch.first_sequence.push_back(0);
  for (const int32_t text : texts) {
    for (int64_t s = all.first_sequence[text]; s < all.first_sequence[text + 1]; ++s) {
      const auto ids = all.sequence(s);
      batch.tokens.sequence_ids.push_back(static_cast<int32_t>(first_sequence_id + batch.tokens.sequences()));
      batch.tokens.ids.insert(batch.tokens.ids.end(), ids.begin(), ids.end());
      batch.tokens.cu_seqlens.push_back(static_cast<int32_t>(batch.tokens.ids.size()));
    }
    batch.first_sequence.push_back(static_cast<int32_t>(batch.tokens.sequences()));
  }
  return batch;
}

std::vector<nn::TokenBatch> split_batch(const nn::TokenBatch& batch, int64_t max_tokens) {
  std::vector<nn::TokenBatch> parts;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int32_t begin = batch.cu_seqlens[s], end = batch.cu_seqlens[s + 1];
    if (parts.empty() || parts.back().tokens() + end - begin > max_tokens) parts.push_back({.cu_seqlens = {0}});
    nn::TokenBatch& part = parts.back();
    part.ids.insert(part.ids.end(), batch.ids.begin() + begin, batch.ids.begin() + end);
    part.cu_seqlens.push_back(static_cast<int32_t>(part.ids.size()));
    part.sequence_ids.push_back(batch.sequence_ids[s]);
  }
  return parts;
}

std::vector<int32_t> text_lengths(const EncodedTexts& all) {
  std::vector<int32_t> lengths;
  for (int64_t t = 0; t < all.texts(); ++t) {
    lengths.push_back(static_cast<int32_t>(all.sequence_begin[all.first_sequence[t + 1]] -
                                           all.sequence_begin[all.first_sequence[t]]));
  }
  return lengths;
}

}  // namespace aid::train
