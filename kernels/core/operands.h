// What many ops ask of their operands. A message names the op, the operand, what it is and what was expected.
#pragma once

#include "kernels/core/philox.h"
#include "kernels/core/span.h"
#include "kernels/core/stream.h"

namespace aid {

// An operand that must be there, with this shape; a vector of n elements is 1 x n.
void check_operand(const char* op, const char* operand, const CSpan& span, int64_t rows, int64_t cols, DType dtype);
// The same for one that may be left out.
void check_optional(const char* op, const char* operand, const CSpan& span, int64_t rows, int64_t cols, DType dtype);
// f32, bf16 or, on a GPU, f16: the types that activations are kept in.
void check_float(const char* op, const Stream& s, const char* operand, const CSpan& span);
// Dropout that is on has 0 <= p < 1 and an id for each row.
void check_dropout(const char* op, const Dropout& dropout, const CSpan& row_ids, int64_t rows);
// Runs of rows that cover all of them: i32 [segments + 1], 0, ..., rows, none below the one before; read by the host.
void check_segments(const char* op, const CSpan& first, int64_t segments, int64_t rows);

// The longest row that layer normalisation takes: it keeps one in the first-level cache.
inline constexpr int64_t kMaxRowColumns = 8192;

}  // namespace aid
