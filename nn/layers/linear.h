// A linear layer with its parameters, or several of the same input side by side: one product gives all their outputs,
// beside each other (query, key and value).
#pragma once

#include "kernels/matrix/linear.h"
#include "nn/parameter_store.h"

namespace aid::nn {

class Linear {
 public:
  struct Options {
    std::vector<std::string> names;  // of the layers side by side: "bert.pooler.dense", without ".weight" and ".bias"
    int64_t out;                     // of each
    int64_t in;
    DType compute;
    bool bias = true;
  };
  Linear(ParameterStore& store, const Options& options);

  // After the weights' values are set. A change of trained values (and their compute values) is seen without it.
  void update_weights(Stream& s);

  void forward(Stream& s, Span y, CSpan x, Activation activation = Activation::none) const;
  void backward_input(Stream& s, Span dx, CSpan dy) const;
  void backward_weight(Stream& s, CSpan dy, CSpan x) const;

 private:
  std::vector<const Parameter*> weight_, bias_;
  LinearWeights packed_;
  Tensor bias_copy_;  // of several layers whose own biases are not adjacent: inference on the CPU
  CSpan packed_bias_;
};

}  // namespace aid::nn
