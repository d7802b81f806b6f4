#include "kernels/matrix/sparse_linear.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/core/operands.h"
#include "kernels/lookup/group_by_row.h"

namespace aid {

using SparseLinearForwardFn = void(Stream&, const SparseLinearForward&);
// document: i32 [items], each item's; groups: the items by their index.
using SparseLinearBackwardFn = void(Stream&, const SparseLinearBackward&, const CSpan& document,
                                    const RowGroups& groups);
namespace cpu_avx2 {
SparseLinearForwardFn sparse_linear_forward;
SparseLinearBackwardFn sparse_linear_backward;
}  // namespace cpu_avx2
namespace cpu_avx512 {
SparseLinearForwardFn sparse_linear_forward;
SparseLinearBackwardFn sparse_linear_backward;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
SparseLinearForwardFn sparse_linear_forward;
SparseLinearBackwardFn sparse_linear_backward;
}  // namespace cpu_avx512_bf16
namespace cuda {
SparseLinearForwardFn sparse_linear_forward;
SparseLinearBackwardFn sparse_linear_backward;
}  // namespace cuda

namespace {

// What forward and backward have in common; y, w and bias stand for their gradients, too.
template <class Args>
void check_layer(const char* op, const Args& a, const CSpan& y, const CSpan& w, const CSpan& bias) {
  check_operand(op, "y", y, y.rows, y.cols, DType::f32);
  check_operand(op, "w", w, 1, w.cols, DType::f32);
  check_operand(op, "bias", bias, 1, y.cols, DType::f32);
  check_operand(op, "index", a.index, 1, a.index.cols, DType::i32);
  check_operand(op, "values", a.values, 1, a.index.cols, DType::f32);
  check_segments(op, a.first, y.rows, a.index.cols);
  AID_CHECK(y.cols > 0 && a.class_stride > 0, op, ": ", y.cols, " classes, class_stride ", a.class_stride,
            "; expected at least 1 of each");
  const int64_t indices = w.cols - a.class_stride * (y.cols - 1);
  const auto* index = a.index.template host_as<int32_t>();
  for (int64_t i = 0; i < a.index.cols; ++i) {
    AID_CHECK(0 <= index[i] && index[i] < indices, op, ": item ", i, " has index ", index[i], "; ", w.cols,
              " weights have room for 0 to ", indices - 1);
  }
}

int64_t bytes_of_items(const CSpan& index, int64_t classes) { return (2 + classes) * index.bytes(); }

}  // namespace

void sparse_linear_forward(Stream& s, const SparseLinearForward& a) {
  constexpr const char* kOp = "sparse_linear_forward";
  check_layer(kOp, a, a.y, a.w, a.bias);
  const ProfileScope scope(
      s.profiler(),
      {.op = kOp, .bytes = bytes_of_items(a.index, a.y.cols) + a.y.bytes(), .flops = 2 * a.index.cols * a.y.cols});
  select(s, cpu_avx2::sparse_linear_forward, cpu_avx512::sparse_linear_forward, cpu_avx512_bf16::sparse_linear_forward,
         AID_CUDA_KERNEL(sparse_linear_forward))(s, a);
}

void sparse_linear_backward(Stream& s, const SparseLinearBackward& a) {
  constexpr const char* kOp = "sparse_linear_backward";
  check_layer(kOp, a, a.dy, a.dw, a.dbias);
  const ProfileScope scope(s.profiler(), {.op = kOp,
                                          .bytes = 2 * bytes_of_items(a.index, a.dy.cols) + a.dy.bytes(),
                                          .flops = 2 * a.index.cols * a.dy.cols});
  const Scratch scratch(s);
  const auto *index = a.index.host_as<int32_t>(), *first = a.first.host_as<int32_t>();
  std::vector<int32_t> document(static_cast<size_t>(a.index.cols));
  for (int64_t d = 0; d < a.dy.rows; ++d) {
    std::fill(document.begin() + first[d], document.begin() + first[d + 1], static_cast<int32_t>(d));
  }
  const int64_t indices = a.index.cols == 0 ? 0 : int64_t{*std::max_element(index, index + a.index.cols)} + 1;
  const CSpan documents = s.upload(vector(std::as_const(document).data(), a.index.cols));
  select(s, cpu_avx2::sparse_linear_backward, cpu_avx512::sparse_linear_backward,
         cpu_avx512_bf16::sparse_linear_backward,
         AID_CUDA_KERNEL(sparse_linear_backward))(s, a, documents, group_by_row(s, a.index, indices));
}

}  // namespace aid
