// Equations: parametric_attention.h. A segment is a task: they are of unlike length. dquery is summed by segments
// first.
#include "kernels/rows/parametric_attention.h"

#include "kernels/cpu/math.h"
#include "kernels/cpu/row_sums.h"

namespace aid::AID_TARGET {
namespace {

constexpr float kClip = 20;

// Rows [begin, end) of a segment.
struct Rows {
  int64_t begin, end;
};

[[gnu::always_inline]] inline float dot(const float* a, const float* b, int64_t cols) {
  return sum_vectors(cols, [&](int64_t c, auto n) { return load_n(a + c, n) * load_n(b + c, n); });
}

// y = sum_r weights[r] x_r, in the order of the rows.
[[gnu::always_inline]] inline void weighted_sum(const CSpan& x, const float* weights, const Rows& rows, float* y) {
  for_vectors(x.cols, [&](int64_t c, auto n) {
    Vec sum = 0.0f;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      sum = multiply_add(Vec(weights[r]), load_n(row_of<float>(x, r) + c, n), sum);
    }
    store_n(sum, y + c, n);
  });
}

[[gnu::flatten]] void attend(const ParametricAttentionForward& a, int64_t t, const Rows& rows) {
  float* weights = row_of<float>(a.weights, 0);
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    weights[r] = dot(row_of<float>(a.keys, r), row_of<float>(a.query, 0), a.x.cols);
  }
  float* of_segment = weights + rows.begin;
  const int64_t count = rows.end - rows.begin;
  const float total = sum_vectors(count, [&](int64_t i, auto n) {
    const Vec clipped = stdx::min(stdx::max(load_n(of_segment + i, n), Vec(-kClip)), Vec(kClip));
    const Vec e = fill_from(exp(clipped), n, 0.0f);
    store_n(e, of_segment + i, n);
    return e;
  });
  for_vectors(count, [&](int64_t i, auto n) { store_n(load_n(of_segment + i, n) / total, of_segment + i, n); });
  weighted_sum(a.x, weights, rows, row_of<float>(a.y, t));
}

// dlogits: f32 [rows], written; dquery: the segment's part, written.
[[gnu::flatten]] void attend_backward(const ParametricAttentionBackward& a, int64_t t, const Rows& rows, float* dlogits,
                                      float* dquery) {
  const int64_t cols = a.x.cols;
  const float *weights = row_of<float>(a.weights, 0), *query = row_of<float>(a.query, 0);
  const float* dy = row_of<float>(a.dy, t);
  float mean = 0;  // of e, by their weights
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    dlogits[r] = dot(row_of<float>(a.x, r), dy, cols);
    mean += weights[r] * dlogits[r];
  }
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const float dlogit = dlogits[r] = weights[r] * (dlogits[r] - mean);
    float *dx = row_of<float>(a.dx, r), *dkeys = a.dkeys.empty() ? nullptr : row_of<float>(a.dkeys, r);
    for_vectors(cols, [&](int64_t c, auto n) {
      const Vec dvalue = weights[r] * load_n(dy + c, n), dkey = dlogit * load_n(query + c, n);
      store_n(dkeys != nullptr ? dvalue : dvalue + dkey, dx + c, n);
      if (dkeys != nullptr) store_n(dkey, dkeys + c, n);
    });
  }
  weighted_sum(a.keys, dlogits, rows, dquery);
}

}  // namespace

void parametric_attention_forward(Stream& s, const ParametricAttentionForward& a) {
  const int32_t* first = row_of<int32_t>(a.first, 0);
  s.team().tasks(a.y.rows, [&](int64_t t) { attend(a, t, {first[t], first[t + 1]}); });
}

void parametric_attention_backward(Stream& s, const ParametricAttentionBackward& a) {
  const Scratch scratch(s);
  const int64_t segments = a.dy.rows, cols = a.x.cols;
  const int32_t* first = row_of<int32_t>(a.first, 0);
  float* const dlogits = static_cast<float*>(s.arena().take(DType::f32, a.x.rows).data);
  const Span partial = s.arena().take(DType::f32, segments, cols);
  s.team().tasks(segments, [&](int64_t t) {
    attend_backward(a, t, {first[t], first[t + 1]}, dlogits, row_of<float>(partial, t));
  });
  s.team().ranges(cols, 64, [&](int64_t begin, int64_t end) {
    add_rows(row_of<float>(a.dquery, 0), row_of<float>(partial, 0), segments, partial.stride, begin, end);
  });
}

}  // namespace aid::AID_TARGET
