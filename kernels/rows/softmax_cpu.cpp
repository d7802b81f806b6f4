// Equations: softmax.h. A thread takes a contiguous range of rows.
#include "kernels/rows/softmax.h"

#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {
namespace {

[[gnu::flatten]] void backward_row(float* dx, const float* dy, const float* y, int64_t cols) {
  const Vec dot(sum_vectors(cols, [&](int64_t k, auto n) { return load_n(dy + k, n) * load_n(y + k, n); }));
  for_vectors(cols, [&](int64_t k, auto n) { store_n(load_n(y + k, n) * (load_n(dy + k, n) - dot), dx + k, n); });
}

}  // namespace

void softmax_backward(Stream& s, const SoftmaxBackward& a) {
  s.team().ranges(a.dx.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      backward_row(row_of<float>(a.dx, r), row_of<float>(a.dy, r), row_of<float>(a.y, r), a.dx.cols);
    }
  });
}

}  // namespace aid::AID_TARGET
