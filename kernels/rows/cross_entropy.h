// Softmax cross-entropy with label smoothing and class weights, as torch.nn.CrossEntropyLoss(weight, label_smoothing)
// has it:
//   log p = log_softmax(logits),  W = sum_r w[t_r],  K classes
//   loss = (1 - eps) / W * sum_r w[t_r] (-log p[r,t_r])  +  eps / (K W) * sum_r sum_k w[k] (-log p[r,k])
// Everything f32; the loss is summed in f64. dlogits is the gradient of loss * loss_scale.
#pragma once

#include "kernels/core/stream.h"

namespace aid {

struct CrossEntropy {
  Span loss;                  // f32 [1]; may be empty
  Span dlogits;               // f32 [rows, classes]; empty when only the loss is wanted; may be logits' memory
  Span probabilities;         // f32 [rows, classes]; empty when not wanted
  CSpan logits;               // f32 [rows, classes]
  CSpan labels;               // i32 [rows], 0 <= label < classes; empty: only probabilities are wanted
  CSpan class_weights;        // f32 [classes] or empty (all ones); read by the host where it sums up W
  float label_smoothing = 0;  // [0, 1)
  // The denominator W; 0: taken from these rows. A micro-batch of an accumulated step passes the whole step's W.
  float total_weight = 0;
  float loss_scale = 1;
};
void cross_entropy(Stream& s, const CrossEntropy& a);

}  // namespace aid
