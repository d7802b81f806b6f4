#include "kernels/lookup/gather_rows.h"

#include <cstring>

#include "kernels/core/operands.h"

namespace aid {

using ScatterAddRowsFn = void(Stream&, const ScatterAddRows&);
namespace cpu_avx2 {
ScatterAddRowsFn scatter_add_rows;
}
namespace cpu_avx512 {
ScatterAddRowsFn scatter_add_rows;
}
namespace cpu_avx512_bf16 {
ScatterAddRowsFn scatter_add_rows;
}

namespace {

void* row_address(const Span& span, int64_t row) {
  return static_cast<std::byte*>(span.data) + row * span.stride * static_cast<int64_t>(size_of(span.dtype));
}
const void* row_address(const CSpan& span, int64_t row) {
  return static_cast<const std::byte*>(span.data) + row * span.stride * static_cast<int64_t>(size_of(span.dtype));
}

void check_index(const char* op, const CSpan& index, int64_t rows) {
  for (int64_t i = 0; i < index.cols; ++i) {
    const int32_t row = index.as<int32_t>()[i];
    AID_CHECK(0 <= row && row < rows, op, ": index ", i, " is ", row, "; expected 0 to ", rows - 1);
  }
}

}  // namespace

// Rows are moved by memcpy, which the C library compiles for each processor already: no kernel per target is needed.
void gather_rows(Stream& s, const GatherRows& a) {
  constexpr const char* kOp = "gather_rows";
  check_operand(kOp, "index", a.index, 1, a.y.rows, DType::i32);
  check_operand(kOp, "y", a.y, a.index.cols, a.x.cols, a.x.dtype);
  check_index(kOp, a.index, a.x.rows);
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = 2 * a.y.bytes()});
  const size_t row_bytes = static_cast<size_t>(a.x.cols) * size_of(a.x.dtype);
  const auto* index = a.index.as<int32_t>();
  s.team().ranges(a.y.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::memcpy(row_address(a.y, i), row_address(a.x, index[i]), row_bytes);
  });
}

void scatter_add_rows(Stream& s, const ScatterAddRows& a) {
  constexpr const char* kOp = "scatter_add_rows";
  check_float(kOp, "x", a.x);
  check_operand(kOp, "index", a.index, 1, a.x.rows, DType::i32);
  check_operand(kOp, "x", a.x, a.index.cols, a.y.cols, a.y.dtype);
  check_index(kOp, a.index, a.y.rows);
  const auto* index = a.index.as<int32_t>();
  for (int64_t i = 1; i < a.index.cols; ++i) {
    AID_CHECK(index[i - 1] < index[i], kOp, ": index ", i, " is ", index[i], " after ", index[i - 1],
              "; expected ascending rows, none twice");
  }
  const ProfileScope scope(s.profiler(), {.op = kOp, .bytes = 3 * a.x.bytes(), .flops = a.x.size()});
  select(s, cpu_avx2::scatter_add_rows, cpu_avx512::scatter_add_rows, cpu_avx512_bf16::scatter_add_rows)(s, a);
}

}  // namespace aid
