// Backward attention of one (sequence, head). K, its transpose and V's are packed for kernels/cpu/tile_product.h once;
// then blocks of queries pass over blocks of keys, with P recomputed from the log-sums. Scores and their gradients
// exist for one block of queries and one of keys only. dk and dv are added up in f32 for all keys of the sequence, in
// the order of the queries, dq for the block's queries in the order of the keys.
// Where bf16 is multiplied in pairs, drop(P) and dS are rounded to bf16 as operands.
#include <cmath>

#include "kernels/cpu/attention_head.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/philox.h"
#include "kernels/matrix/attention_task.h"

namespace aid::AID_TARGET {
namespace {

// Keys: a multiple of kPanel. Queries: even.
constexpr int64_t kQueries = 32, kKeys = 128;

template <class Unit>
struct Scratch {
  Scratch(Pieces& pieces, const AttentionShape& shape) {
    const int64_t rows = round_up(smaller(shape.longest_q, kQueries), kDepth<Unit>);
    const int64_t stride = score_stride(smaller(shape.longest_k, kKeys));
    const int64_t head_dim = shape.head_dim, padded_dim = round_up(head_dim, kLanes);
    keys = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(head_dim), shape.longest_k));
    values = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(head_dim), shape.longest_k));
    key_rows = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(shape.longest_k), head_dim));
    queries = pieces.take<Unit>(left_size<Unit>(rows, head_dim));
    dout = pieces.take<Unit>(left_size<Unit>(rows, head_dim));
    query_rows = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(rows), head_dim));
    dout_rows = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(rows), head_dim));
    scores = pieces.take<float>(rows * stride);
    dscores = pieces.take<float>(rows * stride);
    if constexpr (std::is_same_v<Unit, float>) {
      p_columns = scores;
      ds_columns = ds_rows = dscores;
    } else {
      p_columns = pieces.take<Unit>(rows * stride / kDepth<Unit>);
      ds_columns = pieces.take<Unit>(rows * stride / kDepth<Unit>);
      ds_rows = pieces.take<Unit>(rows * stride / kDepth<Unit>);
    }
    dq = pieces.take<float>(rows * padded_dim);
    dk = pieces.take<float>(shape.longest_k * padded_dim);
    dv = pieces.take<float>(shape.longest_k * padded_dim);
  }
  Unit *keys, *values, *key_rows;
  Unit *queries, *dout, *query_rows, *dout_rows;
  float *scores, *dscores;
  Unit *p_columns, *ds_columns;  // [units of queries][keys]; scores' and dscores' memory where a unit is a float
  Unit* ds_rows;                 // [queries][units of keys]; dscores' memory where a unit is a float
  float *dq, *dk, *dv;
};

// A vector of keys, of the queries that make one unit.
[[gnu::always_inline]] inline void store_columns(const Vec (&v)[1], float* columns, int64_t key) {
  store(v[0], columns + key);
}
#if defined(__AVX512BF16__)
[[gnu::always_inline]] inline void store_columns(const Vec (&v)[2], Bf16Pair* columns, int64_t key) {
  const __m512i in_turn = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(native(v[1]), native(v[0]));
  _mm512_storeu_si512(columns + key, _mm512_permutexvar_epi16(in_turn, both));
}
#endif

// Scores and dP of some queries and keys become drop(P) and dS: as columns for the gradients of K and V, dS as rows too
// for the gradient of Q.
template <class Unit>
struct GradientBlock {
  const Scratch<Unit>& at;
  int64_t stride, rows, keys, first_key;
  float scale;
  const float *lse, *dot;  // of each query
  const int32_t* row_ids;  // of each query; null without dropout
};
template <class Unit>
void gradient_block(const GradientBlock<Unit>& b, DropoutMask* masks) {
  constexpr int kRows = kDepth<Unit>;
  for (int64_t i = 0; i < b.rows; i += kRows) {
    const float *s = b.at.scores + i * b.stride, *dp = b.at.dscores + i * b.stride;
    if (b.row_ids != nullptr) {
      for (int r = 0; r < kRows; ++r) masks[r].start_row(b.row_ids[i + r]);
    }
    for_vectors(
        b.keys, [&](int64_t j, auto n) __attribute__((always_inline)) {
          Vec p[kRows], ds[kRows];
#pragma GCC unroll 2
          for (int r = 0; r < kRows; ++r) {
            const Vec exponent = multiply_add(load(s + r * b.stride + j), Vec(b.scale), Vec(-b.lse[i + r]));
            p[r] = exp(fill_from(exponent, n, -INFINITY));
            Vec gradient = load(dp + r * b.stride + j);
            if (b.row_ids != nullptr) gradient = masks[r].apply(gradient, b.first_key + j);
            ds[r] = p[r] * (gradient - b.dot[i + r]);
            if (b.row_ids != nullptr) p[r] = masks[r].apply(p[r], b.first_key + j);
          }
          store_columns(p, b.at.p_columns + i / kRows * b.stride, j);
          store_columns(ds, b.at.ds_columns + i / kRows * b.stride, j);
          if constexpr (kRows > 1) {
#pragma GCC unroll 2
            for (int r = 0; r < kRows; ++r) store_probabilities(ds[r], b.at.ds_rows + (i + r) * b.stride / kRows, j);
          }
        });
  }
}

template <class T>
float dot(const T* a, const T* b, int64_t size) {
  return sum_vectors(size, [&](int64_t d, auto n) { return load_n(a + d, n) * load_n(b + d, n); });
}

template <class T>
void backward(const AttentionBackward& a, int64_t sequence, int64_t head, void* memory) {
  using Unit = UnitOf<T>;
  constexpr int kRows = kDepth<Unit>;
  const Range q = range_of(a.cu_q, sequence), k = range_of(a.cu_k, sequence);
  const int64_t head_dim = a.q.cols / a.heads, padded_dim = round_up(head_dim, kLanes);
  const int64_t stride = score_stride(smaller(k.size, kKeys));
  Pieces pieces(memory);
  const Scratch<Unit> at(pieces, {head_dim, q.size, k.size});
  const DropoutMask mask(of_head(a.dropout, head));
  DropoutMask masks[] = {mask, mask};  // one per query of a unit

  const auto key_rows = head_of<T>(a.k, a.heads, head).rows(k.begin, k.size);
  const Packed<Unit> keys = pack_transposed(at.keys, key_rows);
  const Packed<Unit> values = pack_transposed(at.values, head_of<T>(a.v, a.heads, head).rows(k.begin, k.size));
  const Packed<Unit> packed_key_rows = pack_rows(at.key_rows, key_rows);
  if (q.size == 0) {
    for (int64_t i = 0; i < k.size * padded_dim; ++i) at.dk[i] = at.dv[i] = 0;
  }
  for (int64_t i0 = 0; i0 < q.size; i0 += kQueries) {
    const int64_t rows = smaller(kQueries, q.size - i0), token = q.begin + i0;
    const auto query_rows = head_of<T>(a.q, a.heads, head).rows(token, rows);
    const auto dout_rows = head_of<T>(a.dout, a.heads, head).rows(token, rows);
    const auto out_rows = head_of<T>(a.out, a.heads, head).rows(token, rows);
    const Left<Unit> queries = copy_rows(at.queries, query_rows), dout = copy_rows(at.dout, dout_rows);
    const Packed<Unit> packed_queries = pack_rows(at.query_rows, query_rows);
    const Packed<Unit> packed_dout = pack_rows(at.dout_rows, dout_rows);
    // A query that only fills up a unit is zero in every operand: what it adds is zero.
    const int64_t whole_rows = round_up(rows, kRows);
    float lse[kQueries], dots[kQueries];
    int32_t row_ids[kQueries];
    for (int64_t i = 0; i < whole_rows; ++i) {
      const bool real = i < rows;
      lse[i] = real ? row_of<float>(a.lse, token + i)[head] : 0;
      dots[i] = real ? dot(dout_rows.data + i * dout_rows.stride, out_rows.data + i * out_rows.stride, head_dim) : 0;
      row_ids[i] = real && a.dropout.on() ? row_of<int32_t>(a.row_ids, 0)[token + i] : 0;
    }
    for (int64_t j0 = 0; j0 < k.size; j0 += kKeys) {
      const int64_t cols = smaller(kKeys, k.size - j0);
      multiply(at.scores, stride, whole_rows, queries, keys.column_slice(j0, cols), Into::replace);
      multiply(at.dscores, stride, whole_rows, dout, values.column_slice(j0, cols), Into::replace);
      gradient_block<Unit>({.at = at,
                            .stride = stride,
                            .rows = whole_rows,
                            .keys = cols,
                            .first_key = j0,
                            .scale = a.scale,
                            .lse = lse,
                            .dot = dots,
                            .row_ids = a.dropout.on() ? row_ids : nullptr},
                           masks);
      const Into into = i0 == 0 ? Into::replace : Into::add;
      multiply(at.dv + j0 * padded_dim, padded_dim, cols, Left<Unit>{at.p_columns, 1, stride}, packed_dout, into);
      multiply(at.dk + j0 * padded_dim, padded_dim, cols, Left<Unit>{at.ds_columns, 1, stride}, packed_queries, into);
      multiply(at.dq, padded_dim, rows, Left<Unit>{at.ds_rows, stride / kRows, 1},
               packed_key_rows.depth_slice(j0 / kRows, units<Unit>(cols)), j0 == 0 ? Into::replace : Into::add);
    }
    write_rows(head_of<T>(a.dq, a.heads, head).rows(token, rows), at.dq, padded_dim, [&](int64_t) { return a.scale; });
  }
  write_rows(head_of<T>(a.dk, a.heads, head).rows(k.begin, k.size), at.dk, padded_dim,
             [&](int64_t) { return a.scale; });
  write_rows(head_of<T>(a.dv, a.heads, head).rows(k.begin, k.size), at.dv, padded_dim, [](int64_t) { return 1.0f; });
}

}  // namespace

extern const AttentionTask<AttentionBackward> attention_backward_task = {
    scratch_bytes_of<Scratch, AttentionShape>,
    [](const AttentionBackward& a, int64_t sequence, int64_t head, void* scratch) {
      [[maybe_unused]] const ProductScope scope;
      with_float_type(a.q.dtype, [&]<class T>(T) { backward<T>(a, sequence, head, scratch); });
    }};

}  // namespace aid::AID_TARGET
