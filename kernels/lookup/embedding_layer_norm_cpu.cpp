// Equations: embedding_layer_norm.h. Forward and dz: a thread takes a contiguous range of tokens, one pass over memory
// as in residual_layer_norm_cpu.cpp.
#include "kernels/lookup/embedding_layer_norm.h"

#include "kernels/cpu/layer_norm_row.h"
#include "kernels/cpu/philox.h"

namespace aid::AID_TARGET {
namespace {

// The three rows whose sum is a token's z; type is null without token types.
struct EmbeddingRows {
  const float *word, *position, *type;

  template <class N>
  [[gnu::always_inline]] Vec sum(int64_t c, N n) const {
    const Vec two = load_n(word + c, n) + load_n(position + c, n);
    return type != nullptr ? two + load_n(type + c, n) : two;
  }
};

template <class Args>
[[gnu::always_inline]] inline EmbeddingRows embedding_rows(const Args& a, int64_t token) {
  const int32_t type = a.types.empty() ? 0 : row_of<int32_t>(a.types, 0)[token];
  return {row_of<float>(a.tables.word, row_of<int32_t>(a.ids, 0)[token]),
          row_of<float>(a.tables.position, row_of<int32_t>(a.positions, 0)[token]),
          a.tables.type.empty() ? nullptr : row_of<float>(a.tables.type, type)};
}

template <class T>
[[gnu::flatten]] void forward_tokens(const EmbeddingLayerNormForward& a, int64_t begin, int64_t end) {
  const int64_t cols = a.y.cols;
  const float *gamma = row_of<float>(a.gamma, 0), *beta = row_of<float>(a.beta, 0);
  const bool drops = a.dropout.on();
  DropoutMask mask(a.dropout);
  RowScratch z;
  for (int64_t token = begin; token < end; ++token) {
    const EmbeddingRows rows = embedding_rows(a, token);
    if (drops) mask.start_row(row_of<int32_t>(a.row_ids, 0)[token]);
    const float total = sum_vectors(cols, [&](int64_t c, auto n) {
      const Vec v = rows.sum(c, n);
      store_n(v, z.at + c, n);
      return v;
    });
    const auto [mean, rstd] = layer_norm_statistics(z.at, cols, total, a.eps);
    T* y = row_of<T>(a.y, token);
    for_vectors(cols, [&](int64_t c, auto n) {
      const Vec normalised = (load_n(z.at + c, n) - mean) * rstd;
      const Vec v = normalised * load_n(gamma + c, n) + load_n(beta + c, n);
      store_n(drops ? mask.apply(v, c) : v, y + c, n);
    });
    if (!a.mean.empty()) row_of<float>(a.mean, 0)[token] = mean;
    if (!a.rstd.empty()) row_of<float>(a.rstd, 0)[token] = rstd;
  }
}

template <class T>
[[gnu::flatten]] void backward_token(const EmbeddingLayerNormBackward& a, int64_t token, float* dz, float* dgamma,
                                     float* dbeta) {
  const EmbeddingRows rows = embedding_rows(a, token);
  const T* dy = row_of<T>(a.dy, token);
  const T* dy2 = a.dy2.empty() ? nullptr : row_of<T>(a.dy2, token);
  const bool drops = a.dropout.on();
  DropoutMask mask(a.dropout);
  if (drops) mask.start_row(row_of<int32_t>(a.row_ids, 0)[token]);
  layer_norm_backward_row(
      {.cols = a.dy.cols,
       .statistics = {row_of<float>(a.mean, 0)[token], row_of<float>(a.rstd, 0)[token]},
       .gamma = row_of<float>(a.gamma, 0),
       .dgamma = dgamma,
       .dbeta = dbeta},
      [&](int64_t c, auto n) {
        Vec d = load_n(dy + c, n);
        if (dy2 != nullptr) d += load_n(dy2 + c, n);
        return drops ? mask.apply(d, c) : d;
      },
      [&](int64_t c, auto n) { return rows.sum(c, n); },
      [&](int64_t c, auto n, Vec value) { store_n(value, dz + c, n); });
}

}  // namespace

void embedding_layer_norm_forward(Stream& s, const EmbeddingLayerNormForward& a) {
  with_float_type(a.y.dtype, [&]<class T>(T) {
    s.team().ranges(a.y.rows, 1, [&](int64_t begin, int64_t end) { forward_tokens<T>(a, begin, end); });
  });
}

void embedding_layer_norm_backward(Stream& s, const EmbeddingLayerNormBackward& a, const Span& dz) {
  with_float_type(a.dy.dtype, [&]<class T>(T) {
    sum_over_row_chunks(s, a.dy.rows, a.dgamma, a.dbeta, [&](int64_t token, float* dgamma, float* dbeta) {
      backward_token<T>(a, token, row_of<float>(dz, token), dgamma, dbeta);
    });
  });
}

}  // namespace aid::AID_TARGET
