// Maxout (Goodfellow et al. 2013) with layer normalisation, as thinc's Maxout(normalize=True) and its residual form:
//   y = [x +] LayerNorm(max_p (W_p input + b_p))
#pragma once

#include "nn/layers/linear.h"

namespace aid::nn {

class Maxout {
 public:
  struct Options {
    std::string name;  // "encode.0": parameters "encode.0.maxout.weight" [out * pieces, in], "encode.0.norm.weight"...
    int64_t out, in, pieces;
  };
  Maxout(ParameterStore& store, const Options& options);

  void update_weights(Stream& s) { linear_.update_weights(s); }
  // y: f32 [rows, out]; input: f32 [rows, in]; residual: [rows, out], may be y's memory; or empty.
  void forward(Stream& s, Span y, CSpan input, CSpan residual) const;

 private:
  int64_t pieces_;
  Linear linear_;
  const Parameter &gamma_, &beta_;
};

}  // namespace aid::nn
