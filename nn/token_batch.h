// What a text model reads: a batch of tokenized texts, packed.
#pragma once

#include <cstdint>
#include <vector>

namespace aid::nn {

// Texts of a batch, one after the other, each with its [CLS] and [SEP].
struct TokenBatch {
  std::vector<int32_t> ids;         // [tokens]
  std::vector<int32_t> types;       // [tokens], or empty: all 0
  std::vector<int32_t> cu_seqlens;  // [sequences + 1], from 0
  // Training: what dropout is keyed by, [sequences]: the place of each sequence in the optimizer step, whatever
  // micro-batch it travels in. Below 2^16.
  std::vector<int32_t> sequence_ids;

  int64_t sequences() const { return static_cast<int64_t>(cu_seqlens.size()) - 1; }
  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
};

}  // namespace aid::nn
