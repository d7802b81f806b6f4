// Equations: embedding_layer_norm.h. Forward and dz: a thread takes a contiguous range of tokens, one pass over memory
// as in residual_layer_norm_cpu.cpp. Table gradients: tokens are grouped by row of the table, and a task sums one
// group's rows over a block of columns in registers and adds them to the table once. The tasks of a group share
// nothing, so a table of two rows (token types) keeps many threads busy, too.
#include "kernels/lookup/embedding_layer_norm.h"

#include "kernels/cpu/layer_norm_row.h"
#include "kernels/cpu/philox.h"
#include "kernels/lookup/group_by_row.h"

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

// Adds the group's rows of dz to out over `width` columns from `column`: whole vectors in kVectors registers.
constexpr int kVectors = 8;
[[gnu::flatten]] void add_group(const TokenGroups& groups, int64_t group, const Span& dz, float* out, int64_t column,
                                int64_t width) {
  const int32_t *order = row_of<int32_t>(groups.order, 0), *first = row_of<int32_t>(groups.first, 0) + group;
  const int32_t *token = order + first[0], *last = order + first[1];
  if (width == kVectors * kLanes) {
    Vec sum[kVectors];
    for (int i = 0; i < kVectors; ++i) sum[i] = 0.0f;
    for (; token < last; ++token) {
      const float* from = row_of<float>(dz, *token) + column;
      for (int i = 0; i < kVectors; ++i) sum[i] += load(from + i * kLanes);
    }
    for (int i = 0; i < kVectors; ++i) store(load(out + column + i * kLanes) + sum[i], out + column + i * kLanes);
    return;
  }
  for_vectors(width, [&](int64_t c, auto n) {
    Vec sum = 0.0f;
    for (const int32_t* t = token; t < last; ++t) sum += load_n(row_of<float>(dz, *t) + column + c, n);
    store_n(load_n(out + column + c, n) + sum, out + column + c, n);
  });
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

void add_groups(Stream& s, const Span& table, const Span& dz, const TokenGroups& groups, int64_t skipped) {
  constexpr int64_t kBlock = kVectors * kLanes;
  const int64_t cols = table.cols, blocks = (cols + kBlock - 1) / kBlock, units = groups.count * blocks;
  // A unit is a block of a group. Several make a task, for taking a task costs more than adding a row; but many more
  // tasks than threads, for groups are of unlike size.
  const int64_t units_per_task = 1 + units / (32 * s.threads());
  s.team().tasks((units + units_per_task - 1) / units_per_task, [&](int64_t task) {
    const int64_t last = (task + 1) * units_per_task < units ? (task + 1) * units_per_task : units;
    for (int64_t unit = task * units_per_task; unit < last; ++unit) {
      const int64_t group = unit / blocks, column = unit % blocks * kBlock;
      const int32_t row = row_of<int32_t>(groups.row, 0)[group];
      if (row == skipped) continue;
      const int64_t width = cols - column < kBlock ? cols - column : kBlock;
      add_group(groups, group, dz, row_of<float>(table, row), column, width);
    }
  });
}

}  // namespace aid::AID_TARGET
