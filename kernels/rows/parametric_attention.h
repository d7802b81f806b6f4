// Attention of one learned query to the rows of each segment (thinc's ParametricAttention, after Yang et al. 2016,
// "Hierarchical Attention Networks for Document Classification"): for the rows r of segment t,
//   forward   a_r = exp(clip(keys_r . query, -20, 20)),  w_r = a_r / sum_r a_r,  y[t] = sum_r w_r x_r
//   backward  e_r = x_r . dy[t],  l_r = w_r (e_r - sum_r w_r e_r)
//             dx_r = w_r dy[t],  dkeys_r = l_r query,  dquery += sum_r l_r keys_r
// As there, the clip, which stands where softmax subtracts its maximum, lets gradients pass. A segment without rows
// gives zeros. Sums over rows have a fixed order that does not depend on threads.
#pragma once

#include "kernels/core/stream.h"

namespace aid {

struct ParametricAttentionForward {
  Span y;        // f32 [segments, cols]
  Span weights;  // f32 [rows]: w, saved for backward
  CSpan x;       // f32 [rows, cols]
  CSpan keys;    // f32 [rows, cols]; may be x
  CSpan query;   // f32 [cols]
  CSpan first;   // i32 [segments + 1]: segment t has the rows first[t] to first[t+1] - 1; 0, ..., rows
};
void parametric_attention_forward(Stream& s, const ParametricAttentionForward& a);

struct ParametricAttentionBackward {
  Span dx;      // f32 [rows, cols]
  Span dkeys;   // f32 [rows, cols]; empty: keys are x, and their gradient is added to dx
  Span dquery;  // f32 [cols], +=
  CSpan dy;     // f32 [segments, cols]
  CSpan x, keys, query, weights, first;
};
void parametric_attention_backward(Stream& s, const ParametricAttentionBackward& a);

}  // namespace aid
