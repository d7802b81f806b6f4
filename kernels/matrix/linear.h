// Linear layer: y = activation(x Wᵀ + b), and its gradients. W is [out, in] as torch.nn.Linear has it.
//   forward           y[r,o]   = act(sum_i x[r,i] W[o,i] + b[o])
//   backward_input    dx[r,i]  = sum_o dy[r,o] W[o,i]
//   backward_weight   dW[o,i] += sum_r dy[r,o] x[r,i],   db[o] += sum_r dy[r,o]
// Products accumulate in f32. On the CPU the same row gives the same bits whatever rows stand around it (forward,
// backward_input); a GPU's library picks its algorithm by the number of rows, too, and the same shape repeats its bits.
// Matrix products are oneDNN's (linear_dnnl.cpp is the only file that knows it), on AMX our own (linear_amx.h), and
// cuBLASLt's (linear_lib.cpp).
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/core/stream.h"

namespace aid {

enum class Activation : uint8_t { none, gelu_erf, gelu_tanh, relu, tanh, logistic };

// W for the products: on the CPU in the matrix library's own blocked layout, on a GPU as a matrix of the compute dtype.
// Movable.
class LinearWeights {
 public:
  // inference: a reordered copy, made once, for linear_forward. training: no copy; every product, forward and
  // backward_input, reorders the given values into the stream's arena first. That is 2 % of a training step, and two
  // copies would be a quarter of its memory.
  enum class Use : uint8_t { inference, training };

  LinearWeights();
  LinearWeights(int64_t out, int64_t in, DType compute, Use use);  // compute: f32, bf16, for a GPU f16
  ~LinearWeights();
  LinearWeights(LinearWeights&&) noexcept;
  LinearWeights& operator=(LinearWeights&&) noexcept;

  // Takes the values from `w`, f32 [out, in] (rows may be strided). In training `w` is referred to, on the stream's
  // device. A GPU refers to it only where it is in the compute dtype and in one piece, and copies it otherwise. Another
  // stream may use them after s.synchronize().
  void update(Stream& s, CSpan w);
  // The same for a matrix whose rows several parameters share, one below the other (query, key, value).
  void update(Stream& s, std::span<const CSpan> stacked);

  int64_t out() const;
  int64_t in() const;
  DType compute() const;

  struct State;
  State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

struct LinearForward {
  Span y;   // [rows, out], compute dtype or f32
  CSpan x;  // [rows, in], compute dtype; rows may be strided
  const LinearWeights& weights;
  // f32 [out], or empty. A GPU's library adds it in y's dtype: to bf16 or f16 it is rounded, if it is not given so.
  CSpan bias;
  // Fused into the library's product, but for gelu_erf of a bf16 y: it is applied to what has been rounded to bf16, so
  // that inference has the bits of training, which keeps the rounded pre-activation.
  Activation activation = Activation::none;
};
void linear_forward(Stream& s, const LinearForward& a);

struct LinearBackwardInput {
  Span dx;                       // [rows, in], compute dtype
  CSpan dy;                      // [rows, out], compute dtype
  const LinearWeights& weights;  // made for training
};
void linear_backward_input(Stream& s, const LinearBackwardInput& a);

struct LinearBackwardWeight {
  Span dw;     // f32 [out, in], += (rows may be strided)
  Span dbias;  // f32 [out], += ; or empty
  CSpan dy;    // [rows, out]
  CSpan x;     // [rows, in]
};
void linear_backward_weight(Stream& s, const LinearBackwardWeight& a);

// Times a large matrix product in the given dtype: FLOP/s that this machine reaches, the roof that reports are held
// against.
double measure_matrix_peak(Stream& s, DType compute);

std::string matrix_library_version();  // oneDNN's: "2.6.3"

}  // namespace aid
