// BERT's input: the sum of word, position and token-type embeddings, layer-normalised, then dropout:
//   z = word[id] + position[pos] + type[type],  y = drop(gamma * (z - mean) * rstd + beta)   (statistics as
//   residual_layer_norm.h)
// Backward recomputes z from the tables, so only mean and rstd are saved. Table gradients are summed in the order of
// the tokens, grouped by row of the table: no atomics, the same bits for any number of threads.
#pragma once

#include "kernels/core/philox.h"
#include "kernels/core/stream.h"

namespace aid {

struct EmbeddingTables {
  CSpan word, position;  // f32 [vocabulary, cols], [positions, cols]
  CSpan type;            // f32 [types, cols], or empty (DistilBERT)
};

struct EmbeddingLayerNormForward {
  Span y;                // [tokens, cols], f32, bf16, on a GPU f16
  Span mean, rstd;       // f32 [tokens], saved for backward; empty in inference
  CSpan ids, positions;  // i32 [tokens]; out of a table's range is an error that names token and id
  CSpan types;           // i32 [tokens], or empty: all 0
  EmbeddingTables tables;
  CSpan gamma, beta;  // f32 [cols]
  float eps = 0;
  Dropout dropout;
  CSpan row_ids;  // i32 [tokens], needed with dropout
};
void embedding_layer_norm_forward(Stream& s, const EmbeddingLayerNormForward& a);

struct EmbeddingLayerNormBackward {
  Span dword, dposition;  // f32, +=, as the tables; dposition empty: positions are frozen
  Span dtype_table;       // f32, += ; empty without types
  Span dgamma, dbeta;     // f32 [cols], +=
  CSpan dy;               // [tokens, cols]
  CSpan dy2;              // added to dy; may be empty
  CSpan mean, rstd;
  CSpan ids, positions, types;
  EmbeddingTables tables;
  CSpan gamma;
  int padding_id = -1;  // this word's row gets no gradient (torch.nn.Embedding's padding_idx)
  Dropout dropout;
  CSpan row_ids;
};
void embedding_layer_norm_backward(Stream& s, const EmbeddingLayerNormBackward& a);

}  // namespace aid
