// Forward attention of one (sequence, head). K and V are packed for kernels/cpu/tile_product.h once; then blocks of
// queries pass over blocks of keys. Scores and probabilities exist for one block of queries and one of keys only and
// stay in the L1 and L2 caches. Every query keeps a running maximum and sum (Milakov & Gimelshein 2018, as in
// FlashAttention); sequences of up to kKeys tokens have one block of keys and nothing is rescaled.
// Where bf16 is multiplied in pairs, P is rounded to bf16 as operand; its sum is taken before, in f32.
#include <cmath>

#include "kernels/cpu/attention_head.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/philox.h"
#include "kernels/matrix/attention_task.h"

namespace aid::AID_TARGET {
namespace {

// Queries: whole tiles; with 128 keys of 64 columns everything but V fits the L1. Keys: a multiple of kPanel.
#if defined(__AMX_BF16__)
constexpr int64_t kQueries = 32, kKeys = 512;
#else
constexpr int64_t kQueries = 24, kKeys = 512;
#endif

template <class Unit>
struct Scratch {
  Scratch(Pieces& pieces, const AttentionShape& shape) {
    const int64_t rows = smaller(shape.longest_q, kQueries);
    const int64_t stride = score_stride(smaller(shape.longest_k, kKeys));
    keys = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(shape.head_dim), shape.longest_k));
    values = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(shape.longest_k), shape.head_dim));
    queries = pieces.take<Unit>(left_size<Unit>(rows, shape.head_dim));
    scores = pieces.take<float>(rows * stride);
    if constexpr (std::is_same_v<Unit, float>) {
      probabilities = scores;
    } else {
      probabilities = pieces.take<Unit>(rows * stride / kDepth<Unit>);
    }
    out = pieces.take<float>(rows * round_up(shape.head_dim, kLanes));
  }
  Unit *keys, *values, *queries;
  float* scores;
  Unit* probabilities;  // [queries][units of keys]; scores' memory where a unit is a float
  float* out;
};

// The running statistics of a block of queries.
struct Statistics {
  float maximum[kQueries], sum[kQueries];
};

// Scores of some queries against some keys become exp(scale * s - maximum); the dropped ones count in the sum.
// All maxima come first, so that the exponentials of a row need not wait for its own.
template <class Unit>
struct SoftmaxBlock {
  Unit* p;
  const float* s;
  int64_t stride, rows, keys, first_key;
  float scale;
  const int32_t* row_ids;  // of the first query; null without dropout
  float* out;              // sums over earlier keys, to be scaled to the new maxima; null where there are none
  int64_t out_stride;
};
template <class Unit>
void softmax_block(const SoftmaxBlock<Unit>& b, DropoutMask& mask, Statistics& at) {
  for (int64_t i = 0; i < b.rows; ++i) {
    const float* s = b.s + i * b.stride;
    Vec largest(-INFINITY);
    for_vectors(
        b.keys, [&](int64_t j, auto n) __attribute__((always_inline)) {
          largest = stdx::max(largest, fill_from(load(s + j), n, -INFINITY));
        });
    const float before = at.maximum[i], maximum = max(largest) * b.scale;
    at.maximum[i] = before > maximum ? before : maximum;
    if (b.out == nullptr) continue;
    const Vec shrink = exp(Vec(before - at.maximum[i]));
    at.sum[i] *= shrink[0];
    float* out = b.out + i * b.out_stride;
    for (int64_t d = 0; d < b.out_stride; d += kLanes) store(load(out + d) * shrink, out + d);
  }
  for (int64_t i = 0; i < b.rows; ++i) {
    const float* s = b.s + i * b.stride;
    Unit* p = b.p + i * b.stride / kDepth<Unit>;
    const Vec scale(b.scale), shift(-at.maximum[i]);
    if (b.row_ids != nullptr) mask.start_row(b.row_ids[i]);
    Vec total(0.0f);
    for_vectors(
        b.keys, [&](int64_t j, auto n) __attribute__((always_inline)) {
          Vec e = exp(fill_from(multiply_add(load(s + j), scale, shift), n, -INFINITY));
          total += e;
          if (b.row_ids != nullptr) e = mask.apply(e, b.first_key + j);
          store_probabilities(e, p, j);
        });
    at.sum[i] += sum(total);
  }
}

template <class T>
void forward(const AttentionForward& a, int64_t sequence, int64_t head, void* memory) {
  using Unit = UnitOf<T>;
  const Range q = range_of(a.cu_q, sequence), k = range_of(a.cu_k, sequence);
  if (q.size == 0) return;
  const int64_t head_dim = a.q.cols / a.heads, out_stride = round_up(head_dim, kLanes);
  const int64_t stride = score_stride(smaller(k.size, kKeys));
  Pieces pieces(memory);
  const Scratch<Unit> at(pieces, {head_dim, q.size, k.size});
  DropoutMask mask(of_head(a.dropout, head));
  const auto queries = head_of<T>(a.q, a.heads, head);

  const Packed<Unit> keys = pack_transposed(at.keys, head_of<T>(a.k, a.heads, head).rows(k.begin, k.size));
  const Packed<Unit> values = pack_rows(at.values, head_of<T>(a.v, a.heads, head).rows(k.begin, k.size));
  for (int64_t i0 = 0; i0 < q.size; i0 += kQueries) {
    const int64_t rows = smaller(kQueries, q.size - i0), token = q.begin + i0;
    const Left<Unit> left = copy_rows(at.queries, queries.rows(token, rows));
    Statistics statistics;
    for (int64_t i = 0; i < rows; ++i) {
      statistics.maximum[i] = -INFINITY;
      statistics.sum[i] = 0;
    }
    for (int64_t j0 = 0; j0 < k.size; j0 += kKeys) {
      const int64_t cols = smaller(kKeys, k.size - j0);
      multiply(at.scores, stride, rows, left, keys.column_slice(j0, cols), Into::replace);
      softmax_block<Unit>({.p = at.probabilities,
                           .s = at.scores,
                           .stride = stride,
                           .rows = rows,
                           .keys = cols,
                           .first_key = j0,
                           .scale = a.scale,
                           .row_ids = a.dropout.on() ? row_of<int32_t>(a.row_ids, 0) + token : nullptr,
                           .out = j0 == 0 ? nullptr : at.out,
                           .out_stride = out_stride},
                          mask, statistics);
      multiply(at.out, out_stride, rows, Left<Unit>{at.probabilities, stride / kDepth<Unit>, 1},
               values.depth_slice(j0 / kDepth<Unit>, units<Unit>(cols)), j0 == 0 ? Into::replace : Into::add);
    }
    write_rows(head_of<T>(a.out, a.heads, head).rows(token, rows), at.out, out_stride,
               [&](int64_t i) { return 1 / statistics.sum[i]; });
    if (a.lse.empty()) continue;
    for (int64_t i = 0; i < rows; ++i) {
      row_of<float>(a.lse, token + i)[head] = statistics.maximum[i] + std::log(statistics.sum[i]);
    }
  }
}

}  // namespace

extern const AttentionTask<AttentionForward> attention_forward_task = {
    scratch_bytes_of<Scratch, AttentionShape>,
    [](const AttentionForward& a, int64_t sequence, int64_t head, void* scratch) {
      [[maybe_unused]] const ProductScope scope;
      with_float_type(a.q.dtype, [&]<class T>(T) { forward<T>(a, sequence, head, scratch); });
    }};

}  // namespace aid::AID_TARGET
