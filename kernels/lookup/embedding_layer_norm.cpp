#include "kernels/lookup/embedding_layer_norm.h"

#include <vector>

#include "kernels/core/operands.h"
#include "kernels/lookup/group_by_row.h"

namespace aid {

using EmbeddingLayerNormForwardFn = void(Stream&, const EmbeddingLayerNormForward&);
// dz: f32 [tokens, cols], the gradient of the sum of embeddings; written.
using EmbeddingLayerNormBackwardFn = void(Stream&, const EmbeddingLayerNormBackward&, const Span& dz);
namespace cpu_avx2 {
EmbeddingLayerNormForwardFn embedding_layer_norm_forward;
EmbeddingLayerNormBackwardFn embedding_layer_norm_backward;
}  // namespace cpu_avx2
namespace cpu_avx512 {
EmbeddingLayerNormForwardFn embedding_layer_norm_forward;
EmbeddingLayerNormBackwardFn embedding_layer_norm_backward;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
EmbeddingLayerNormForwardFn embedding_layer_norm_forward;
EmbeddingLayerNormBackwardFn embedding_layer_norm_backward;
}  // namespace cpu_avx512_bf16
namespace cuda {
EmbeddingLayerNormForwardFn embedding_layer_norm_forward;
EmbeddingLayerNormBackwardFn embedding_layer_norm_backward;
}  // namespace cuda

namespace {

void check_ids(const char* op, const char* operand, const CSpan& ids, int64_t tokens, int64_t rows) {
  check_operand(op, operand, ids, 1, tokens, DType::i32);
  const auto* id = ids.host_as<int32_t>();
  for (int64_t token = 0; token < tokens; ++token) {
    AID_CHECK(0 <= id[token] && id[token] < rows, op, ": token ", token, " has ", id[token], " in ", operand,
              "; the table has rows 0 to ", rows - 1);
  }
}

// What forward and backward have in common.
template <class Args>
void check_lookup(const char* op, const Args& a, int64_t tokens, int64_t cols) {
  const EmbeddingTables& t = a.tables;
  AID_CHECK(0 < cols && cols <= kMaxRowColumns, op, ": ", cols, " columns; expected 1 to ", kMaxRowColumns);
  check_operand(op, "word", t.word, t.word.rows, cols, DType::f32);
  check_operand(op, "position", t.position, t.position.rows, cols, DType::f32);
  check_optional(op, "type", t.type, t.type.rows, cols, DType::f32);
  check_ids(op, "ids", a.ids, tokens, t.word.rows);
  check_ids(op, "positions", a.positions, tokens, t.position.rows);
  if (!a.types.empty()) check_ids(op, "types", a.types, tokens, t.type.rows);
  check_operand(op, "gamma", a.gamma, 1, cols, DType::f32);
  check_dropout(op, a.dropout, a.row_ids, tokens);
}

}  // namespace

void embedding_layer_norm_forward(Stream& s, const EmbeddingLayerNormForward& a) {
  constexpr const char* kOp = "embedding_layer_norm_forward";
  const int64_t tokens = a.y.rows, cols = a.y.cols;
  check_float(kOp, s, "y", a.y);
  check_lookup(kOp, a, tokens, cols);
  check_operand(kOp, "y", a.y, tokens, cols, a.y.dtype);
  check_operand(kOp, "beta", a.beta, 1, cols, DType::f32);
  check_optional(kOp, "mean", a.mean, 1, tokens, DType::f32);
  check_optional(kOp, "rstd", a.rstd, 1, tokens, DType::f32);
  const int64_t tables = a.tables.type.empty() ? 2 : 3;
  const ProfileScope scope(
      s.profiler(), {.op = kOp, .bytes = a.y.bytes() + tokens * cols * 4, .flops = (7 + tables) * tokens * cols});
  select(s, cpu_avx2::embedding_layer_norm_forward, cpu_avx512::embedding_layer_norm_forward,
         cpu_avx512_bf16::embedding_layer_norm_forward, AID_CUDA_KERNEL(embedding_layer_norm_forward))(s, a);
}

void embedding_layer_norm_backward(Stream& s, const EmbeddingLayerNormBackward& a) {
  constexpr const char* kOp = "embedding_layer_norm_backward";
  const int64_t tokens = a.dy.rows, cols = a.dy.cols;
  check_float(kOp, s, "dy", a.dy);
  check_lookup(kOp, a, tokens, cols);
  check_optional(kOp, "dy2", a.dy2, tokens, cols, a.dy.dtype);
  check_operand(kOp, "mean", a.mean, 1, tokens, DType::f32);
  check_operand(kOp, "rstd", a.rstd, 1, tokens, DType::f32);
  check_operand(kOp, "dgamma", a.dgamma, 1, cols, DType::f32);
  check_operand(kOp, "dbeta", a.dbeta, 1, cols, DType::f32);
  check_operand(kOp, "dword", a.dword, a.tables.word.rows, cols, DType::f32);
  check_optional(kOp, "dposition", a.dposition, a.tables.position.rows, cols, DType::f32);
  check_optional(kOp, "dtype_table", a.dtype_table, a.tables.type.rows, cols, DType::f32);
  const ProfileScope scope(
      s.profiler(),
      {.op = kOp, .bytes = a.dy.bytes() + a.dy2.bytes() + 3 * tokens * cols * 4, .flops = 16 * tokens * cols});
  const Arena::Mark mark = s.arena().mark();
  const Span dz = s.arena().take(DType::f32, tokens, cols);
  select(s, cpu_avx2::embedding_layer_norm_backward, cpu_avx512::embedding_layer_norm_backward,
         cpu_avx512_bf16::embedding_layer_norm_backward, AID_CUDA_KERNEL(embedding_layer_norm_backward))(s, a, dz);
  const auto add = [&](const Span& table, const CSpan& ids, int64_t skipped) {
    add_groups(s, {.table = table, .dz = dz, .groups = group_by_row(s, ids, table.rows), .skipped = skipped});
  };
  add(a.dword, a.ids, a.padding_id);
  if (!a.dposition.empty()) add(a.dposition, a.positions, -1);
  if (!a.dtype_table.empty()) {
    const std::vector<int32_t> zeros(a.types.empty() ? static_cast<size_t>(tokens) : 0, 0);
    const CSpan types = a.types.empty() ? vector(zeros.data(), tokens) : a.types;
    add(a.dtype_table, types, -1);
  }
  s.arena().rewind(mark);
}

}  // namespace aid
