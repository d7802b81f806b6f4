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

}  // namespace aid
