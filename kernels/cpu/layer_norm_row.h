// One row of layer normalisation, forward and backward, and the sums over rows of its parameters' gradients: what
// residual_layer_norm and embedding_layer_norm share. The maths are in their headers.
#pragma once

#include "kernels/core/operands.h"
#include "kernels/core/stream.h"
#include "kernels/cpu/row_sums.h"

namespace aid::AID_TARGET {

// A row of values on the stack, which stays in the first-level cache between a row's passes.
struct alignas(64) RowScratch {
  float at[kMaxRowColumns];
};

struct LayerNormStatistics {
  float mean, rstd;
};

// Of row[0, cols), whose sum is known from the pass that wrote it.
[[gnu::always_inline]] inline LayerNormStatistics layer_norm_statistics(const float* row, int64_t cols, float sum,
                                                                        float eps) {
  const float mean = sum / static_cast<float>(cols);
  const float squares = sum_vectors(cols, [&](int64_t c, auto n) {
    const Vec deviation = fill_from(load_n(row + c, n) - mean, n, 0.0f);
    return deviation * deviation;
  });
  return {mean, 1.0f / __builtin_sqrtf(squares / static_cast<float>(cols) + eps)};
}

// Backward of one row. dy(c, n) and z(c, n) load vectors, 0 from lane n on; dz(c, n, value) takes the result. Adds to
// dgamma and dbeta. Everything is read before dz is first called, so that it may overwrite what dy reads.
struct LayerNormBackwardRow {
  int64_t cols;
  LayerNormStatistics statistics;
  const float* gamma;
  float *dgamma, *dbeta;
};
template <class Dy, class Z, class Dz>
[[gnu::always_inline]] inline void layer_norm_backward_row(const LayerNormBackwardRow& row, Dy&& dy, Z&& z, Dz&& dz) {
  RowScratch g, xhat;
  const auto [mean, rstd] = row.statistics;
  Vec sum_g = 0.0f, sum_g_xhat = 0.0f;
  for_vectors(row.cols, [&](int64_t c, auto n) {
    const Vec d = dy(c, n);
    const Vec x = (z(c, n) - mean) * rstd;
    store_n(load_n(row.dgamma + c, n) + d * x, row.dgamma + c, n);
    store_n(load_n(row.dbeta + c, n) + d, row.dbeta + c, n);
    const Vec scaled = d * load_n(row.gamma + c, n);
    sum_g += scaled;
    sum_g_xhat += scaled * x;
    store_n(scaled, g.at + c, n);
    store_n(x, xhat.at + c, n);
  });
  const float mean_g = sum(sum_g) / static_cast<float>(row.cols);
  const float mean_g_xhat = sum(sum_g_xhat) / static_cast<float>(row.cols);
  for_vectors(row.cols, [&](int64_t c, auto n) {
    dz(c, n, rstd * (load_n(g.at + c, n) - mean_g - load_n(xhat.at + c, n) * mean_g_xhat));
  });
}

// dgamma += and dbeta += over all rows: body(row, dgamma, dbeta) adds one row to partial sums that belong to a chunk of
// 32 rows, and the chunks are added in their order. Threads take whole chunks, so their number changes no bit.
template <class Body>
void sum_over_row_chunks(Stream& s, int64_t rows, const Span& dgamma, const Span& dbeta, const Body& body) {
  constexpr int64_t kChunk = 32;
  const int64_t cols = dgamma.cols, chunks = (rows + kChunk - 1) / kChunk;
  const Arena::Mark mark = s.arena().mark();
  float* const partial = static_cast<float*>(s.arena().take(DType::f32, chunks, 2 * cols).data);
  s.team().ranges(chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      float* const sums = partial + chunk * 2 * cols;
      __builtin_memset(sums, 0, static_cast<size_t>(2 * cols) * sizeof(float));
      const int64_t last = (chunk + 1) * kChunk < rows ? (chunk + 1) * kChunk : rows;
      for (int64_t row = chunk * kChunk; row < last; ++row) body(row, sums, sums + cols);
    }
  });
  s.team().ranges(cols, 64, [&](int64_t begin, int64_t end) {
    add_rows(row_of<float>(dgamma, 0), partial, chunks, 2 * cols, begin, end);
    add_rows(row_of<float>(dbeta, 0), partial + cols, chunks, 2 * cols, begin, end);
  });
  s.arena().rewind(mark);
}

}  // namespace aid::AID_TARGET
