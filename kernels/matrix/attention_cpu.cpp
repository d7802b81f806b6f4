// Attention of one (sequence, head). K and V (backward: also Vᵀ and K's rows) are packed for kernels/cpu/tile_product.h
// once; then blocks of queries pass over blocks of keys. Scores and probabilities exist for one block of queries and
// one of keys only and stay in the L1 and L2 caches. Forward keeps a running maximum and sum per query (Milakov &
// Gimelshein 2018; FlashAttention): with up to kForwardKeys keys there is one block, and no rescaling. Backward knows
// the log-sum already; it adds into f32 sums for all keys of the sequence, in the order of the queries.
// Where bf16 is multiplied in pairs, P and dS are rounded to bf16 as operands; every sum and statistic is f32.
#include <cmath>

#include "kernels/cpu/math.h"
#include "kernels/cpu/tile_product.h"
#include "kernels/matrix/attention_task.h"

namespace aid::AID_TARGET {
namespace {

// Multiples of kPanel and of two. A block of scores (forward 32 x 512 f32 = 64 KiB) shares the L2 with K and V.
#ifndef FQ
#define FQ 24
#define FK 512
#define BQ 32
#define BK 128
#endif
constexpr int64_t kForwardQueries = FQ, kForwardKeys = FK;
constexpr int64_t kBackwardQueries = BQ, kBackwardKeys = BK;

constexpr int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }

// Hands out pieces of the scratch memory; over a null pointer it only counts them.
class Pieces {
 public:
  explicit Pieces(void* memory) : memory_(static_cast<std::byte*>(memory)) {}
  template <class T>
  T* take(int64_t n) {
    std::byte* piece = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ += static_cast<size_t>(round_up(n * static_cast<int64_t>(sizeof(T)), 64));
    return reinterpret_cast<T*>(piece);
  }
  size_t used() const { return used_; }

 private:
  std::byte* memory_;
  size_t used_ = 0;
};

// Scores lie in rows a bit longer than a block of keys, so that rows do not share cache sets.
int64_t score_stride(int64_t keys) { return round_up(keys, kLanes) + kLanes; }

template <class Unit>
int64_t left_size(int64_t rows, int64_t cols) {
  return round_up(rows, kDepth<Unit>) * round_up(units<Unit>(cols), kLanes);
}

template <class Unit>
struct ForwardScratch {
  ForwardScratch(Pieces& pieces, const AttentionShape& shape) {
    const int64_t queries_in_block = min_of(shape.longest_q, kForwardQueries);
    const int64_t stride = score_stride(min_of(shape.longest_k, kForwardKeys));
    keys = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(shape.head_dim), shape.longest_k));
    values = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(shape.longest_k), shape.head_dim));
    queries = pieces.take<Unit>(left_size<Unit>(queries_in_block, shape.head_dim));
    scores = pieces.take<float>(round_up(queries_in_block, kDepth<Unit>) * stride);
    if constexpr (std::is_same_v<Unit, float>) {
      probabilities = scores;
    } else {
      probabilities = pieces.take<Unit>(queries_in_block * stride / kDepth<Unit>);
    }
    out = pieces.take<float>(round_up(queries_in_block, kDepth<Unit>) * round_up(shape.head_dim, kLanes));
    keep = pieces.take<float>(stride);
  }
  Unit *keys, *values, *queries;
  float* scores;
  Unit* probabilities;  // [queries][units of keys]; scores' memory where a unit is a float
  float* out;
  float* keep;
};

template <class Unit>
struct BackwardScratch {
  BackwardScratch(Pieces& pieces, const AttentionShape& shape) {
    const int64_t queries_in_block = round_up(min_of(shape.longest_q, kBackwardQueries), kDepth<Unit>);
    const int64_t stride = score_stride(min_of(shape.longest_k, kBackwardKeys));
    const int64_t head_dim = shape.head_dim, padded_dim = round_up(head_dim, kLanes);
    keys = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(head_dim), shape.longest_k));
    values = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(head_dim), shape.longest_k));
    key_rows = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(shape.longest_k), head_dim));
    queries = pieces.take<Unit>(left_size<Unit>(queries_in_block, head_dim));
    dout = pieces.take<Unit>(left_size<Unit>(queries_in_block, head_dim));
    query_rows = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(queries_in_block), head_dim));
    dout_rows = pieces.take<Unit>(Packed<Unit>::size(units<Unit>(queries_in_block), head_dim));
    scores = pieces.take<float>(queries_in_block * stride);
    dscores = pieces.take<float>(queries_in_block * stride);
    if constexpr (std::is_same_v<Unit, float>) {
      p_columns = scores;
      ds_columns = ds_rows = dscores;
    } else {
      p_columns = pieces.take<Unit>(queries_in_block * stride / kDepth<Unit>);
      ds_columns = pieces.take<Unit>(queries_in_block * stride / kDepth<Unit>);
      ds_rows = pieces.take<Unit>(queries_in_block * stride / kDepth<Unit>);
    }
    dq = pieces.take<float>(queries_in_block * padded_dim);
    dk = pieces.take<float>(shape.longest_k * padded_dim);
    dv = pieces.take<float>(shape.longest_k * padded_dim);
    keep = pieces.take<float>(kDepth<Unit> * stride);
  }
  Unit *keys, *values, *key_rows;
  Unit *queries, *dout, *query_rows, *dout_rows;
  float *scores, *dscores;
  Unit *p_columns, *ds_columns;  // [units of queries][keys]
  Unit* ds_rows;                 // [queries][units of keys]
  float *dq, *dk, *dv;
  float* keep;
};

template <template <class> class Scratch>
size_t scratch_bytes(const AttentionShape& shape) {
  Pieces floats(nullptr), pairs(nullptr);
  Scratch<float>(floats, shape);
  Scratch<UnitOf<bf16>>(pairs, shape);
  return floats.used() > pairs.used() ? floats.used() : pairs.used();
}

// The tokens of a sequence.
struct Range {
  int64_t begin, size;
};
Range range_of(const CSpan& cumulative, int64_t sequence) {
  const auto* first = static_cast<const int32_t*>(cumulative.data);
  return {first[sequence], first[sequence + 1] - first[sequence]};
}

// Some tokens' part of one head.
template <class T, class Matrix>
auto head_rows(const Matrix& x, int64_t head_dim, int64_t head, int64_t token, int64_t tokens) {
  using Element = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(x.data)>>, const T, T>;
  return Rows<Element>{static_cast<Element*>(x.data) + token * x.stride + head * head_dim, x.stride, tokens, head_dim};
}

// y = factor * x, for rows of f32 that lie `stride` apart.
template <class T>
[[gnu::flatten]] void write_rows(const Rows<T>& y, const float* x, int64_t stride, float factor) {
  for (int64_t i = 0; i < y.rows; ++i) {
    for_vectors(y.cols, [&](int64_t j, auto n) {
      store_n(load(x + i * stride + j) * factor, y.data + i * y.stride + j, n);
    });
  }
}

// The vector's lanes from n on replaced; with a whole vector nothing is.
template <class N>
Vec with_rest(Vec v, N n, float rest) {
  if constexpr (!std::is_same_v<N, std::integral_constant<int, kLanes>>) {
    const Vec lane([](auto i) { return static_cast<float>(static_cast<int>(i)); });
    stdx::where(lane >= static_cast<float>(n), v) = rest;
  }
  return v;
}

// 0 where the element is dropped, else dropout's scale: for row `row`, elements [first, first + n).
void keep_factors(float* keep, const Dropout& dropout, uint32_t row, int64_t first, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    keep[j] = philox::keep(dropout, row, static_cast<uint32_t>(first + j)) ? dropout.scale() : 0.0f;
  }
  for (int64_t j = n; j < round_up(n, kLanes); ++j) keep[j] = 0;
}

Dropout of_head(Dropout dropout, int64_t head) {
  dropout.site = dropout.site << 8 | static_cast<uint32_t>(head);
  return dropout;
}

[[gnu::always_inline]] inline void store_probabilities(Vec p, float* row, int64_t j) { store(p, row + j); }
#if defined(__AVX512BF16__)
[[gnu::always_inline]] inline void store_probabilities(Vec p, Bf16Pair* row, int64_t j) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + j / 2), (__m256i)_mm512_cvtneps_pbh(native(p)));
}
#endif

// p = exp(scale * s - maximum) over a row of n scores, the maximum being that of this block and of those before.
// The dropped ones count in the sum.
template <class Unit>
[[gnu::flatten]] void softmax_row(Unit* p, const float* s, const float* keep, int64_t n, float scale, float& maximum, float& sum_of_row) {
  Vec largest(maximum / scale);
  for_vectors(n, [&](int64_t j, auto lanes) { largest = stdx::max(largest, with_rest(load(s + j), lanes, -INFINITY)); });
  maximum = max(largest) * scale;
  Vec total(0.0f);
  for_vectors(n, [&](int64_t j, auto lanes) {
    Vec e = exp(multiply_add(with_rest(load(s + j), lanes, -INFINITY), Vec(scale), Vec(-maximum)));
    total += e;
    if (keep != nullptr) e *= load(keep + j);
    store_probabilities(e, p, j);
  });
  sum_of_row += sum(total);
}

template <class T>
void forward(const AttentionForward& a, int64_t sequence, int64_t head, void* memory) {
  using Unit = UnitOf<T>;
  const Range q = range_of(a.cu_q, sequence), k = range_of(a.cu_k, sequence);
  if (q.size == 0) return;
  const int64_t head_dim = a.q.cols / a.heads, out_stride = round_up(head_dim, kLanes);
  Pieces pieces(memory);
  const ForwardScratch<Unit> at(pieces, {head_dim, q.size, k.size});
  const int64_t stride = score_stride(min_of(k.size, kForwardKeys));
  const Dropout dropout = of_head(a.dropout, head);

  const Packed<Unit> keys = pack_transposed(at.keys, head_rows<T>(a.k, head_dim, head, k.begin, k.size));
  const Packed<Unit> values = pack_rows(at.values, head_rows<T>(a.v, head_dim, head, k.begin, k.size));
  for (int64_t i0 = 0; i0 < q.size; i0 += kForwardQueries) {
    const int64_t rows = min_of(kForwardQueries, q.size - i0), token = q.begin + i0;
    const Left<Unit> queries = copy_rows(at.queries, head_rows<T>(a.q, head_dim, head, token, rows));
    float maximum[kForwardQueries], total[kForwardQueries];
    for (int64_t i = 0; i < rows; ++i) {
      maximum[i] = -INFINITY;
      total[i] = 0;
    }
    for (int64_t j0 = 0; j0 < k.size; j0 += kForwardKeys) {
      const int64_t cols = min_of(kForwardKeys, k.size - j0);
      multiply(at.scores, stride, rows, queries, keys.column_slice(j0, cols), Into::replace);
      for (int64_t i = 0; i < rows; ++i) {
        if (dropout.on()) {
          const int32_t row = static_cast<const int32_t*>(a.row_ids.data)[token + i];
          keep_factors(at.keep, dropout, static_cast<uint32_t>(row), j0, cols);
        }
        const float before = maximum[i], sum_before = total[i];
        total[i] = 0;
        softmax_row(at.probabilities + i * stride / kDepth<Unit>, at.scores + i * stride,
                    dropout.on() ? at.keep : nullptr, cols, a.scale, maximum[i], total[i]);
        if (j0 == 0) continue;
        const float shrink = std::exp(before - maximum[i]);
        total[i] += sum_before * shrink;
        float* out = at.out + i * out_stride;
        for (int64_t d = 0; d < out_stride; d += kLanes) store(load(out + d) * shrink, out + d);
      }
      multiply(at.out, out_stride, rows, Left<Unit>{at.probabilities, stride / kDepth<Unit>, 1},
               values.depth_slice(j0 / kDepth<Unit>, units<Unit>(cols)), j0 == 0 ? Into::replace : Into::add);
    }
    for (int64_t i = 0; i < rows; ++i) {
      write_rows(head_rows<T>(a.out, head_dim, head, token + i, 1), at.out + i * out_stride, 0, 1 / total[i]);
      if (!a.lse.empty()) {
        static_cast<float*>(a.lse.data)[(token + i) * a.lse.stride + head] = maximum[i] + std::log(total[i]);
      }
    }
  }
}

template <class T>
[[gnu::flatten]] float dot(const T* a, const T* b, int64_t size) {
  Vec total(0.0f);
  for_vectors(size, [&](int64_t d, auto n) { total = multiply_add(load_n(a + d, n), load_n(b + d, n), total); });
  return sum(total);
}

// A vector of keys of the queries that make one unit.
[[gnu::always_inline]] inline void store_columns(const Vec (&v)[1], float* columns, int64_t j) {
  store(v[0], columns + j);
}
#if defined(__AVX512BF16__)
[[gnu::always_inline]] inline void store_columns(const Vec (&v)[2], Bf16Pair* columns, int64_t j) {
  const __m512i in_turn = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(native(v[1]), native(v[0]));
  _mm512_storeu_si512(columns + j, _mm512_permutexvar_epi16(in_turn, both));
}
#endif

// drop(P) and dS out of scores and dP for the queries that make one unit, both as columns for the gradients of K and V,
// and dS as rows too for the gradient of Q. Where a unit is a float all of them are in place.
template <class Unit>
struct GradientRows {
  const float *scores, *dscores;  // of the first of the queries
  int64_t stride;
  const float* keep;  // rows of `stride`; null without dropout
  float scale;
  float lse[kDepth<Unit>], dot[kDepth<Unit>];
  Unit *p_columns, *ds_columns, *ds_rows;
};
template <class Unit>
[[gnu::flatten]] void gradient_rows(const GradientRows<Unit>& g, int64_t keys) {
  constexpr int kRows = kDepth<Unit>;
  for_vectors(keys, [&](int64_t j, auto n) {
    Vec p[kRows], ds[kRows];
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
      const Vec s = load(g.scores + r * g.stride + j);
      p[r] = exp(with_rest(multiply_add(s, Vec(g.scale), Vec(-g.lse[r])), n, -INFINITY));
      Vec dp = load(g.dscores + r * g.stride + j);
      if (g.keep != nullptr) dp *= load(g.keep + r * g.stride + j);
      ds[r] = p[r] * (dp - g.dot[r]);
      if (g.keep != nullptr) p[r] *= load(g.keep + r * g.stride + j);
    }
    store_columns(p, g.p_columns, j);
    store_columns(ds, g.ds_columns, j);
    if constexpr (kRows > 1) {
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r) store_probabilities(ds[r], g.ds_rows + r * g.stride / kRows, j);
    }
  });
}

template <class T>
void backward(const AttentionBackward& a, int64_t sequence, int64_t head, void* memory) {
  using Unit = UnitOf<T>;
  constexpr int kRows = kDepth<Unit>;
  const Range q = range_of(a.cu_q, sequence), k = range_of(a.cu_k, sequence);
  const int64_t head_dim = a.q.cols / a.heads, padded_dim = round_up(head_dim, kLanes);
  Pieces pieces(memory);
  const BackwardScratch<Unit> at(pieces, {head_dim, q.size, k.size});
  const int64_t stride = score_stride(min_of(k.size, kBackwardKeys));
  const Dropout dropout = of_head(a.dropout, head);

  const auto key_rows = head_rows<T>(a.k, head_dim, head, k.begin, k.size);
  const Packed<Unit> keys = pack_transposed(at.keys, key_rows);
  const Packed<Unit> values = pack_transposed(at.values, head_rows<T>(a.v, head_dim, head, k.begin, k.size));
  const Packed<Unit> packed_key_rows = pack_rows(at.key_rows, key_rows);
  if (q.size == 0) {
    for (int64_t i = 0; i < k.size * padded_dim; ++i) at.dk[i] = at.dv[i] = 0;
  }
  for (int64_t i0 = 0; i0 < q.size; i0 += kBackwardQueries) {
    const int64_t rows = min_of(kBackwardQueries, q.size - i0), token = q.begin + i0;
    const Into into = i0 == 0 ? Into::replace : Into::add;
    const auto query_rows = head_rows<T>(a.q, head_dim, head, token, rows);
    const auto dout_rows = head_rows<T>(a.dout, head_dim, head, token, rows);
    const auto out_rows = head_rows<T>(a.out, head_dim, head, token, rows);
    const Left<Unit> queries = copy_rows(at.queries, query_rows), dout = copy_rows(at.dout, dout_rows);
    const Packed<Unit> packed_queries = pack_rows(at.query_rows, query_rows);
    const Packed<Unit> packed_dout = pack_rows(at.dout_rows, dout_rows);
    // A query that only fills up a unit has zero scores and, by an infinite log-sum, zero probabilities.
    const int64_t whole_rows = round_up(rows, kRows);
    float lse[kBackwardQueries], dots[kBackwardQueries];
    for (int64_t i = 0; i < whole_rows; ++i) {
      lse[i] = i < rows ? static_cast<const float*>(a.lse.data)[(token + i) * a.lse.stride + head] : INFINITY;
      dots[i] = i < rows ? dot(dout_rows.data + i * dout_rows.stride, out_rows.data + i * out_rows.stride, head_dim) : 0;
    }
    for (int64_t j0 = 0; j0 < k.size; j0 += kBackwardKeys) {
      const int64_t cols = min_of(kBackwardKeys, k.size - j0);
      multiply(at.scores, stride, whole_rows, queries, keys.column_slice(j0, cols), Into::replace);
      multiply(at.dscores, stride, whole_rows, dout, values.column_slice(j0, cols), Into::replace);
      for (int64_t i = 0; i < whole_rows; i += kRows) {
        GradientRows<Unit> g = {.scores = at.scores + i * stride,
                                .dscores = at.dscores + i * stride,
                                .stride = stride,
                                .keep = dropout.on() ? at.keep : nullptr,
                                .scale = a.scale,
                                .p_columns = at.p_columns + i / kRows * stride,
                                .ds_columns = at.ds_columns + i / kRows * stride,
                                .ds_rows = at.ds_rows + i * stride / kRows};
        for (int r = 0; r < kRows; ++r) {
          g.lse[r] = lse[i + r];
          g.dot[r] = dots[i + r];
          if (dropout.on()) {
            const int64_t row = token + min_of(i + r, rows - 1);
            keep_factors(at.keep + r * stride, dropout,
                         static_cast<uint32_t>(static_cast<const int32_t*>(a.row_ids.data)[row]), j0, cols);
          }
        }
        gradient_rows(g, cols);
      }
      const Left<Unit> p_columns = {at.p_columns, 1, stride}, ds_columns = {at.ds_columns, 1, stride};
      multiply(at.dv + j0 * padded_dim, padded_dim, cols, p_columns, packed_dout, into);
      multiply(at.dk + j0 * padded_dim, padded_dim, cols, ds_columns, packed_queries, into);
      multiply(at.dq, padded_dim, rows, Left<Unit>{at.ds_rows, stride / kRows, 1},
               packed_key_rows.depth_slice(j0 / kRows, units<Unit>(cols)), j0 == 0 ? Into::replace : Into::add);
    }
    write_rows(head_rows<T>(a.dq, head_dim, head, token, rows), at.dq, padded_dim, a.scale);
  }
  write_rows(head_rows<T>(a.dk, head_dim, head, k.begin, k.size), at.dk, padded_dim, a.scale);
  write_rows(head_rows<T>(a.dv, head_dim, head, k.begin, k.size), at.dv, padded_dim, 1);
}

void forward_task(const AttentionForward& a, int64_t sequence, int64_t head, void* scratch) {
  with_float_type(a.q.dtype, [&]<class T>(T) { forward<T>(a, sequence, head, scratch); });
}
void backward_task(const AttentionBackward& a, int64_t sequence, int64_t head, void* scratch) {
  with_float_type(a.q.dtype, [&]<class T>(T) { backward<T>(a, sequence, head, scratch); });
}

}  // namespace

extern const AttentionTasks kAttentionTasks = {scratch_bytes<ForwardScratch>, forward_task,
                                               scratch_bytes<BackwardScratch>, backward_task};

}  // namespace aid::AID_TARGET
