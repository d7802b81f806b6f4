// Packed multi-head self-attention (Vaswani et al. 2017; computed in tiles with a running maximum and sum as
// FlashAttention, Dao et al. 2022, so that no S x S matrix is ever in memory). For sequence n with queries i and keys
// j, head h of width d:
//   s_ij = scale * q_i·k_j,  p_ij = exp(s_ij - lse_i),  lse_i = log sum_j exp(s_ij),  o_i = sum_j drop(p_ij) v_j
//   dv_j = sum_i drop(p_ij) do_i,  dp_ij = drop'(do_i·v_j),  D_i = do_i·o_i,  ds_ij = p_ij (dp_ij - D_i)
//   dq_i = scale * sum_j ds_ij k_j,  dk_j = scale * sum_i ds_ij q_i
// No masks: a packed batch holds no padding, and every query sees every key of its own sequence.
// One (sequence, head) is one task with a fixed order of sums: results depend neither on threads nor on the other
// sequences.
#pragma once

#include "kernels/core/philox.h"
#include "kernels/core/stream.h"

namespace aid {

struct AttentionForward {
  Span out;          // [q_tokens, heads * head_dim], f32, bf16, on a GPU f16
  Span lse;          // f32 [q_tokens, heads], saved for backward; empty in inference
  CSpan q;           // [q_tokens, heads * head_dim]; q, k, v may be column slices of one [tokens, 3 * heads * head_dim]
  CSpan k, v;        // [k_tokens, heads * head_dim]
  CSpan cu_q, cu_k;  // i32 [sequences + 1]: first token of each sequence, then the total
  int heads = 0;
  float scale = 0;  // 1 / sqrt(head_dim)
  Dropout dropout;  // on p, after the softmax; site < 2^24, the op puts the head below it: (site << 8 | head)
  CSpan
      row_ids;  // i32 [q_tokens], needed with dropout: the id of each query's token; the element is the key's position
};
void attention_forward(Stream& s, const AttentionForward& a);

struct AttentionBackward {
  Span dq, dk, dv;  // written; may be column slices of one matrix
  CSpan dout;       // [q_tokens, heads * head_dim]
  CSpan out, lse;   // as forward wrote them
  CSpan q, k, v, cu_q, cu_k;
  int heads = 0;
  float scale = 0;
  Dropout dropout;
  CSpan row_ids;
};
void attention_backward(Stream& s, const AttentionBackward& a);

}  // namespace aid
