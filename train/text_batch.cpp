#include "train/text_batch.h"

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

std::vector<float> pool_logits(CSpan logits, const TextBatch& batch) {
  const int64_t labels = logits.cols;
  std::vector<float> pooled(static_cast<size_t>(batch.texts() * labels));
  for (int64_t t = 0; t < batch.texts(); ++t) {
    const int64_t begin = batch.first_sequence[t], end = batch.first_sequence[t + 1];
    for (int64_t k = 0; k < labels; ++k) {
      double sum = 0;
      for (int64_t s = begin; s < end; ++s) sum += logits.row_slice(s, s + 1).as<float>()[k];
      pooled[static_cast<size_t>(t * labels + k)] = static_cast<float>(sum / static_cast<double>(end - begin));
    }
  }
  return pooled;
}

std::vector<float> unpool_gradient(CSpan dpooled, const TextBatch& batch) {
  std::vector<float> dlogits;
  for (int64_t t = 0; t < batch.texts(); ++t) {
    const int32_t sequences = batch.first_sequence[t + 1] - batch.first_sequence[t];
    const float* row = dpooled.row_slice(t, t + 1).as<float>();
    for (int32_t s = 0; s < sequences; ++s) {
      for (int64_t k = 0; k < dpooled.cols; ++k) dlogits.push_back(row[k] / static_cast<float>(sequences));
    }
  }
  return dlogits;
}

}  // namespace aid::train
