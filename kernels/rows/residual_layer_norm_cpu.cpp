// Equations: residual_layer_norm.h. A thread takes a contiguous range of rows. A row is read from memory once and kept
// as f32 in the first-level cache for the passes that follow (forward: mean, variance, result; backward: sums, result),
// so each kernel moves the least bytes that the op can.
#include "kernels/rows/residual_layer_norm.h"

#include "kernels/cpu/layer_norm_row.h"
#include "kernels/cpu/philox.h"

namespace aid::AID_TARGET {
namespace {

template <class T>
[[gnu::flatten]] void forward_rows(const ResidualLayerNormForward& a, int64_t begin, int64_t end) {
  const int64_t cols = a.delta.cols;
  const float *gamma = row_of<float>(a.gamma, 0), *beta = row_of<float>(a.beta, 0);
  const bool drops = a.dropout.on();
  DropoutMask mask(a.dropout);
  RowScratch z;
  for (int64_t row = begin; row < end; ++row) {
    const T* delta = row_of<T>(a.delta, row);
    const T* x = a.x.empty() ? nullptr : row_of<T>(a.x, row);
    T* saved_z = a.z.empty() ? nullptr : row_of<T>(a.z, row);
    if (drops) mask.start_row(row_of<int32_t>(a.row_ids, 0)[row]);
    const float total = sum_vectors(cols, [&](int64_t c, auto n) {
      Vec v = load_n(delta + c, n);
      if (drops) v = mask.apply(v, c);
      if (x != nullptr) v += load_n(x + c, n);
      store_n(v, z.at + c, n);
      if (saved_z != nullptr) store_n(v, saved_z + c, n);
      return v;
    });
    const auto [mean, rstd] = layer_norm_statistics(z.at, cols, total, a.eps);
    T* y = row_of<T>(a.y, row);
    for_vectors(cols, [&](int64_t c, auto n) {
      const Vec normalised = (load_n(z.at + c, n) - mean) * rstd;
      store_n(normalised * load_n(gamma + c, n) + load_n(beta + c, n), y + c, n);
    });
    if (!a.mean.empty()) row_of<float>(a.mean, 0)[row] = mean;
    if (!a.rstd.empty()) row_of<float>(a.rstd, 0)[row] = rstd;
  }
}

template <class T>
[[gnu::flatten]] void backward_row(const ResidualLayerNormBackward& a, int64_t row, float* dgamma, float* dbeta) {
  const T *dy = row_of<T>(a.dy, row), *z = row_of<T>(a.z, row);
  const T* dy2 = a.dy2.empty() ? nullptr : row_of<T>(a.dy2, row);
  T* dx = row_of<T>(a.dx, row);
  T* ddelta = a.ddelta.empty() ? nullptr : row_of<T>(a.ddelta, row);
  const bool drops = a.dropout.on();
  DropoutMask mask(a.dropout);
  if (drops) mask.start_row(row_of<int32_t>(a.row_ids, 0)[row]);
  layer_norm_backward_row(
      {.cols = a.dy.cols,
       .statistics = {row_of<float>(a.mean, 0)[row], row_of<float>(a.rstd, 0)[row]},
       .gamma = row_of<float>(a.gamma, 0),
       .dgamma = dgamma,
       .dbeta = dbeta},
      [&](int64_t c, auto n) {
        const Vec d = load_n(dy + c, n);
        return dy2 != nullptr ? d + load_n(dy2 + c, n) : d;
      },
      [&](int64_t c, auto n) { return load_n(z + c, n); },
      [&](int64_t c, auto n, Vec dz) {
        store_n(dz, dx + c, n);
        if (ddelta != nullptr) store_n(drops ? mask.apply(dz, c) : dz, ddelta + c, n);
      });
}

}  // namespace

void residual_layer_norm_forward(Stream& s, const ResidualLayerNormForward& a) {
  with_float_type(a.delta.dtype, [&]<class T>(T) {
    s.team().ranges(a.delta.rows, 1, [&](int64_t begin, int64_t end) { forward_rows<T>(a, begin, end); });
  });
}

void residual_layer_norm_backward(Stream& s, const ResidualLayerNormBackward& a) {
  with_float_type(a.dy.dtype, [&]<class T>(T) {
    sum_over_row_chunks(s, a.dy.rows, a.dgamma, a.dbeta,
                        [&](int64_t row, float* dgamma, float* dbeta) { backward_row<T>(a, row, dgamma, dbeta); });
  });
}

}  // namespace aid::AID_TARGET
