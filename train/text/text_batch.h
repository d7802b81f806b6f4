// Texts of an EncodedTexts as a packed batch. A text may be several sequences (windows): its logits are their mean
// (kernels/rows/segment_reduce.h), and its gradient goes back to each in equal parts.
#pragma once

#include <span>
#include <vector>

#include "nn/bert.h"
#include "train/text/text_encoder.h"

namespace aid::train {

struct TextBatch {
  nn::TokenBatch tokens;
  std::vector<int32_t> first_sequence;  // [texts + 1], into the batch

  int64_t texts() const { return static_cast<int64_t>(first_sequence.size()) - 1; }
};

// first_sequence_id: the place in the optimizer step of the batch's first sequence (dropout is keyed by it).
TextBatch make_batch(const EncodedTexts& all, std::span<const int32_t> texts, int64_t first_sequence_id);

// The batch in parts of at most max_tokens (a longer sequence is alone): one part where it fits. For a text of more
// windows than memory has room for.
std::vector<nn::TokenBatch> split_batch(const nn::TokenBatch& batch, int64_t max_tokens);

// Tokens of every text, all its sequences together.
std::vector<int32_t> text_lengths(const EncodedTexts& all);

}  // namespace aid::train
