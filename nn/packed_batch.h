// A checked TokenBatch in the stream's memory, with what the ops derive from it.
#pragma once

#include "kernels/core/stream.h"
#include "nn/bert_config.h"
#include "nn/layers/dropout.h"
#include "nn/token_batch.h"

namespace aid::nn {

// Which rows a layer computes: of every token, or of each text's first, [CLS].
enum class Rows : uint8_t { all, first };

struct PackedBatch {
  int64_t tokens, sequences;
  CSpan ids, types, positions;  // i32 [tokens]; types may be empty: all 0
  CSpan first;                  // i32 [sequences]: the row of each text's [CLS]
  struct PerRows {
    int64_t count;
    CSpan cu_seqlens;  // i32 [sequences + 1]
    CSpan row_ids;     // i32 [count], empty without dropout: dropout.h
  };
  PerRows all, one;  // of every token; of [CLS]
  DropoutKey dropout;

  const PerRows& of(Rows rows) const { return rows == Rows::all ? all : one; }
};

// Copies into the arena, on the stream's device. Throws std::invalid_argument that names the text for an empty batch or
// text, a text of more than max_positions tokens, or arrays that contradict each other; the embedding op checks the
// ids.
PackedBatch pack(Stream& s, const TokenBatch& batch, const BertConfig& config, const DropoutKey& dropout);

}  // namespace aid::nn
