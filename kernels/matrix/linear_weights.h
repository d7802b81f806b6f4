// What LinearWeights holds, for linear.cpp (CPU) and linear_lib.cpp (GPU).
#pragma once

#include <optional>
#include <vector>

#include "kernels/matrix/linear.h"
#include "kernels/matrix/linear_dnnl.h"

namespace aid {

struct LinearWeights::State {
  int64_t out, in;
  DType compute;
  Use use;

  // On the CPU, from the first update() on.
  std::optional<gemm::PackedLayout> forward;   // of Wᵀ [in, out]
  std::optional<gemm::PackedLayout> backward;  // of W [out, in]: training
  Tensor packed;                               // Wᵀ: inference
  std::vector<CSpan> source;                   // W, one part below the other: training

  // On a GPU: W [out, in] in the compute dtype; the given memory, or a copy with its rows on 16-byte borders.
  Tensor copy;
  CSpan matrix;
};

namespace cuda {

void update_weights(Stream& s, const LinearWeights& w, std::span<const CSpan> stacked);
void linear_forward(Stream& s, const LinearForward& a);
void linear_backward_input(Stream& s, const LinearBackwardInput& a);
void linear_backward_weight(Stream& s, const LinearBackwardWeight& a);

// The library that is used: "13.1.0 (libcublasLt.so.13)". Opens it; throws CudaError that names the missing file.
std::string matrix_library();

}  // namespace cuda
}  // namespace aid
