// Maxout (Goodfellow et al. 2013) with layer normalisation, as thinc's Maxout(normalize=True) and its residual form:
//   y = [x +] LayerNorm(max_p (W_p input + b_p))
#pragma once

#include "kernels/core/philox.h"
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

  // What backward needs beside the input, in the stream's arena.
  struct Saved {
    Span z;
    CSpan mean, rstd;
    Dropout dropout;
    CSpan row_ids;
  };
  Saved forward_training(Stream& s, Span y, CSpan input, CSpan residual, const Dropout& dropout, CSpan row_ids) const;
  // dinput is written; the residual's gradient is dy. Uses up saved.z.
  void backward(Stream& s, Span dinput, CSpan dy, CSpan input, const Saved& saved) const;

 private:
  int64_t pieces_;
  Linear linear_;
  const Parameter &gamma_, &beta_;
};

}  // namespace aid::nn
