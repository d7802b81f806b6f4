#include "kernels/core/operands.h"

namespace aid {

void check_operand(const char* op, const char* operand, const CSpan& span, int64_t rows, int64_t cols, DType dtype) {
  AID_CHECK(!span.empty() || rows * cols == 0, op, ": ", operand, " is missing; expected ", name_of(dtype), " ", rows,
            " x ", cols);
  AID_CHECK(span.rows == rows && span.cols == cols, op, ": ", operand, " is ", span.rows, " x ", span.cols,
            "; expected ", rows, " x ", cols);
  AID_CHECK(span.dtype == dtype, op, ": ", operand, " holds ", name_of(span.dtype), "; expected ", name_of(dtype));
}

void check_optional(const char* op, const char* operand, const CSpan& span, int64_t rows, int64_t cols, DType dtype) {
  if (!span.empty()) check_operand(op, operand, span, rows, cols, dtype);
}

void check_float(const char* op, const Stream& s, const char* operand, const CSpan& span) {
  AID_CHECK(computes_in(s.device(), span.dtype), op, ": ", operand, " holds ", name_of(span.dtype),
            s.device() == Device::cuda ? "; expected f32, bf16 or f16" : "; expected f32 or bf16");
}

void check_dropout(const char* op, const Dropout& dropout, const CSpan& row_ids, int64_t rows) {
  if (!dropout.on()) return;
  AID_CHECK(dropout.p < 1 && dropout.threshold() < 65536, op, ": dropout probability ", dropout.p,
            "; expected at least 0 and below 1");
  check_operand(op, "row_ids", row_ids, 1, rows, DType::i32);
}

void check_segments(const char* op, const CSpan& first, int64_t segments, int64_t rows) {
  check_operand(op, "first", first, 1, segments + 1, DType::i32);
  const auto* begin = first.host_as<int32_t>();
  AID_CHECK(begin[0] == 0 && begin[segments] == rows, op, ": first runs from ", begin[0], " to ", begin[segments],
            "; expected 0 to the number of rows, ", rows);
  for (int64_t t = 0; t < segments; ++t) {
    AID_CHECK(begin[t] <= begin[t + 1], op, ": segment ", t, " begins at row ", begin[t], " and ends before row ",
              begin[t + 1], "; expected no end before the beginning");
  }
}

}  // namespace aid
