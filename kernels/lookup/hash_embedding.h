// Bloom embeddings (Serrà and Karatzoglou 2017, arXiv:1706.03993), as thinc's HashEmbed has them: an id of any size is
// the sum of four rows of a small table, which its hash (bloom_hash.h) names:
//   forward   y[t] = scale * sum_k table[row_k(t)],   row_k(t) = bloom_hash(ids[t], seed).of[k] % rows,   k = 0, ..., 3
//   backward  dtable[row_k(t)] += scale * dy[t], for every k: equal rows add twice
// The four are added in the order of k, gradients in the order of the tokens. scale multiplies columns: it is dropout's
// mask, one for all tokens of a batch.
#pragma once

#include "kernels/core/stream.h"

namespace aid {

struct HashEmbeddingForward {
  Span y;       // f32 [tokens, cols]
  CSpan table;  // f32 [rows, cols]
  CSpan ids;    // i64 [tokens]: the bits of 64-bit unsigned numbers
  uint32_t seed = 0;
  CSpan scale;  // f32 [cols], or empty: 1
};
void hash_embedding_forward(Stream& s, const HashEmbeddingForward& a);

struct HashEmbeddingBackward {
  Span dtable;  // f32 [rows, cols], +=
  CSpan dy;     // f32 [tokens, cols]
  CSpan ids;    // i64 [tokens], read by the host
  uint32_t seed = 0;
  CSpan scale;
};
void hash_embedding_backward(Stream& s, const HashEmbeddingBackward& a);

}  // namespace aid
