#include "kernels/lookup/hash_embedding.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/core/operands.h"
#include "kernels/lookup/bloom_hash.h"
#include "kernels/lookup/group_by_row.h"

namespace aid {

using HashEmbeddingForwardFn = void(Stream&, const HashEmbeddingForward&);
namespace cpu_avx2 {
HashEmbeddingForwardFn hash_embedding_forward;
}  // namespace cpu_avx2
namespace cpu_avx512 {
HashEmbeddingForwardFn hash_embedding_forward;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
HashEmbeddingForwardFn hash_embedding_forward;
}  // namespace cpu_avx512_bf16
namespace cuda {
HashEmbeddingForwardFn hash_embedding_forward;
}  // namespace cuda

namespace {

// What forward and backward have in common.
void check_lookup(const char* op, const CSpan& table, const CSpan& y, const CSpan& ids, const CSpan& scale) {
  check_operand(op, "the table", table, table.rows, y.cols, DType::f32);
  AID_CHECK(0 < table.rows && table.rows <= std::numeric_limits<int32_t>::max(), op, ": a table of ", table.rows,
            " rows; expected 1 to ", std::numeric_limits<int32_t>::max());
  check_operand(op, "y", y, y.rows, table.cols, DType::f32);
  check_operand(op, "ids", ids, 1, y.rows, DType::i64);
  check_optional(op, "scale", scale, 1, table.cols, DType::f32);
}

// Of the table, that are read: each once.
int64_t bytes_of_rows(const CSpan& table, const CSpan& y) { return std::min(table.bytes(), kBloomHashes * y.bytes()); }

}  // namespace

void hash_embedding_forward(Stream& s, const HashEmbeddingForward& a) {
  constexpr const char* kOp = "hash_embedding_forward";
  check_lookup(kOp, a.table, a.y, a.ids, a.scale);
  const ProfileScope scope(s.profiler(), {.op = kOp,
                                          .bytes = a.y.bytes() + bytes_of_rows(a.table, a.y) + a.ids.bytes(),
                                          .flops = kBloomHashes * a.y.size()});
  select(s, cpu_avx2::hash_embedding_forward, cpu_avx512::hash_embedding_forward,
         cpu_avx512_bf16::hash_embedding_forward, AID_CUDA_KERNEL(hash_embedding_forward))(s, a);
}

void hash_embedding_backward(Stream& s, const HashEmbeddingBackward& a) {
  constexpr const char* kOp = "hash_embedding_backward";
  check_lookup(kOp, a.dtable, a.dy, a.ids, a.scale);
  const ProfileScope scope(s.profiler(), {.op = kOp,
                                          .bytes = a.dy.bytes() + 2 * bytes_of_rows(a.dtable, a.dy) + a.ids.bytes(),
                                          .flops = kBloomHashes * a.dy.size()});
  const auto* ids = a.ids.host_as<int64_t>();
  std::vector<int32_t> rows;
  rows.reserve(static_cast<size_t>(kBloomHashes * a.dy.rows));
  for (int64_t token = 0; token < a.dy.rows; ++token) {
    for (const uint32_t hash : bloom_hash(static_cast<uint64_t>(ids[token]), a.seed).of) {
      rows.push_back(static_cast<int32_t>(hash % static_cast<uint32_t>(a.dtable.rows)));
    }
  }
  const Scratch scratch(s);
  const CSpan lookups = vector(std::as_const(rows).data(), static_cast<int64_t>(rows.size()));
  add_groups(s, {.table = a.dtable,
                 .dz = a.dy,
                 .groups = group_by_row(s, lookups, a.dtable.rows, kBloomHashes),
                 .scale = a.scale});
}

}  // namespace aid
