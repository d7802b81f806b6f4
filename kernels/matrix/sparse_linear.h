// A linear layer of sparse features (thinc's SparseLinear, spaCy's bag of words): document d has the items
// first[d] to first[d+1] - 1, each a feature's index and value:
//   forward   y[d,c] = bias[c] + sum_i values[i] w[c class_stride + index[i]]
//   backward  dw[c class_stride + index[i]] += values[i] dy[d,c],  dbias[c] += sum_d dy[d,c]
// With class_stride 1, as thinc's first version of the layer has it, classes share weights: a feature's for class c is
// its neighbour's for class c - 1. On the CPU sums have the order of the items, on a GPU a fixed one of its own; both
// add gradients class by class, and in a class in the order of the items.
#pragma once

#include "kernels/core/stream.h"

namespace aid {

struct SparseLinearForward {
  Span y;        // f32 [documents, classes]
  CSpan w;       // f32 [weights]
  CSpan bias;    // f32 [classes]
  CSpan index;   // i32 [items], at least 0, with class_stride (classes - 1) + index < weights; read by the host
  CSpan values;  // f32 [items]
  CSpan first;   // i32 [documents + 1]: 0, ..., items
  int64_t class_stride = 1;
};
void sparse_linear_forward(Stream& s, const SparseLinearForward& a);

struct SparseLinearBackward {
  Span dw;     // f32 [weights], +=
  Span dbias;  // f32 [classes], +=
  CSpan dy;    // f32 [documents, classes]
  CSpan index, values, first;
  int64_t class_stride = 1;
};
void sparse_linear_backward(Stream& s, const SparseLinearBackward& a);

}  // namespace aid
