#include "kernels/lookup/gather_rows.h"

#include "kernels/core/operands.h"

namespace aid {

using GatherRowsFn = void(Stream&, const GatherRows&);
using ScatterAddRowsFn = void(Stream&, const ScatterAddRows&);
namespace cpu_avx2 {
GatherRowsFn gather_rows;
ScatterAddRowsFn scatter_add_rows;
}  // namespace cpu_avx2
namespace cpu_avx512 {
GatherRowsFn gather_rows;
ScatterAddRowsFn scatter_add_rows;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
GatherRowsFn gather_rows;
ScatterAddRowsFn scatter_add_rows;
}  // namespace cpu_avx512_bf16
namespace cuda {
GatherRowsFn gather_rows;
ScatterAddRowsFn scatter_add_rows;
}  // namespace cuda

namespace {

void check_index(const char* op, const CSpan& index, int64_t rows) {
  const auto* rows_of_index = index.host_as<int32_t>();
  for (int64_t i = 0; i < index.cols; ++i) {
    const int32_t row = rows_of_index[i];
    AID_CHECK(0 <= row && row < rows, op, ": index ", i, " is ", row, "; expected 0 to ", rows - 1);
  }
}

}  // namespace

void gather_rows(Stream& s, const GatherRows& a) {
  constexpr const char* kOp = "gather_rows";
  check_operand(kOp, "index", a.index, 1, a.y.rows, DType::i32);
  check_operand(kOp, "y", a.y, a.index.cols, a.x.cols, a.x.dtype);
  check_index(kOp, a.index, a.x.rows);
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = 2 * a.y.bytes()});
  select(s, cpu_avx2::gather_rows, cpu_avx512::gather_rows, cpu_avx512_bf16::gather_rows, AID_CUDA_KERNEL(gather_rows))(
      s, a);
}

void scatter_add_rows(Stream& s, const ScatterAddRows& a) {
  constexpr const char* kOp = "scatter_add_rows";
  check_float(kOp, s, "x", a.x);
  check_operand(kOp, "index", a.index, 1, a.x.rows, DType::i32);
  check_operand(kOp, "x", a.x, a.index.cols, a.y.cols, a.y.dtype);
  check_index(kOp, a.index, a.y.rows);
  const auto* index = a.index.host_as<int32_t>();
  for (int64_t i = 1; i < a.index.cols; ++i) {
    AID_CHECK(index[i - 1] < index[i], kOp, ": index ", i, " is ", index[i], " after ", index[i - 1],
              "; expected ascending rows, none twice");
  }
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = 3 * a.x.bytes(), .flops = a.x.size()});
  select(s, cpu_avx2::scatter_add_rows, cpu_avx512::scatter_add_rows, cpu_avx512_bf16::scatter_add_rows,
         AID_CUDA_KERNEL(scatter_add_rows))(s, a);
}

}  // namespace aid
