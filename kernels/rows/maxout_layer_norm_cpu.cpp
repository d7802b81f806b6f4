// Equations: maxout_layer_norm.h. A thread takes a contiguous range of rows. A row's maxima are in the first-level
// cache for the passes that follow. Pieces lie beside each other, so finding their maxima and spreading gradients over
// them is left to the compiler, which shuffles vectors for a number of pieces that it knows.
#include "kernels/rows/maxout_layer_norm.h"

#include "kernels/cpu/layer_norm_row.h"
#include "kernels/cpu/philox.h"

namespace aid::AID_TARGET {
namespace {

// Calls f with the number of pieces, a constant where it is one that models have.
template <class F>
void with_pieces(int64_t pieces, F&& f) {
  if (pieces == 3) {
    f(std::integral_constant<int64_t, 3>());
  } else if (pieces == 2) {
    f(std::integral_constant<int64_t, 2>());
  } else {
    f(pieces);
  }
}

template <class Pieces>
[[gnu::always_inline]] inline void find_maxima(const float* z, int64_t cols, Pieces pieces, float* __restrict m) {
  for (int64_t o = 0; o < cols; ++o) {
    float largest = z[o * pieces];
    for (int64_t p = 1; p < pieces; ++p) largest = z[o * pieces + p] > largest ? z[o * pieces + p] : largest;
    m[o] = largest;
  }
}

// dz may be z's memory.
template <class Pieces>
[[gnu::always_inline]] inline void spread_gradients(const float* z, const float* m, const float* dm, int64_t cols,
                                                    Pieces pieces, float* dz) {
  constexpr int64_t kBlock = 64;
  for (int64_t begin = 0; begin < cols; begin += kBlock) {
    const int64_t width = cols - begin < kBlock ? cols - begin : kBlock;
    float spread[kBlock * kMostPieces];  // no memory of z's: the compiler need not fear so
    for (int64_t o = 0; o < width; ++o) {
      float gradient = dm[begin + o];
      for (int64_t p = 0; p < pieces; ++p) {
        const bool here = z[(begin + o) * pieces + p] == m[begin + o];
        spread[o * pieces + p] = here ? gradient : 0.0f;
        gradient = here ? 0.0f : gradient;
      }
    }
    __builtin_memcpy(dz + begin * pieces, spread, static_cast<size_t>(width * pieces) * sizeof(float));
  }
}

template <class Pieces>
[[gnu::flatten]] void forward_rows(const MaxoutLayerNormForward& a, Pieces pieces, int64_t begin, int64_t end) {
  const int64_t cols = a.y.cols;
  const bool drops = a.dropout.on(), normalises = !a.gamma.empty();
  const float* gamma = normalises ? row_of<float>(a.gamma, 0) : nullptr;
  const float* beta = normalises ? row_of<float>(a.beta, 0) : nullptr;
  DropoutMask mask(a.dropout);
  RowScratch m;
  for (int64_t row = begin; row < end; ++row) {
    find_maxima(row_of<float>(a.z, row), cols, pieces, m.at);
    LayerNormStatistics statistics = {0, 1};
    if (normalises) {
      const float total = sum_vectors(cols, [&](int64_t c, auto n) { return load_n(m.at + c, n); });
      statistics = layer_norm_statistics(m.at, cols, total, a.eps);
      if (!a.mean.empty()) row_of<float>(a.mean, 0)[row] = statistics.mean;
      if (!a.rstd.empty()) row_of<float>(a.rstd, 0)[row] = statistics.rstd;
    }
    if (drops) mask.start_row(row_of<int32_t>(a.row_ids, 0)[row]);
    const float* x = a.x.empty() ? nullptr : row_of<float>(a.x, row);
    float* y = row_of<float>(a.y, row);
    for_vectors(cols, [&](int64_t c, auto n) {
      Vec v = load_n(m.at + c, n);
      if (normalises) {
        v = (v - statistics.mean) * statistics.rstd * load_n(gamma + c, n) + load_n(beta + c, n);
      }
      if (drops) v = mask.apply(v, c);
      if (x != nullptr) v += load_n(x + c, n);
      store_n(v, y + c, n);
    });
  }
}

template <class Pieces>
[[gnu::flatten]] void backward_row(const MaxoutLayerNormBackward& a, Pieces pieces, int64_t row, float* dgamma,
                                   float* dbeta) {
  const int64_t cols = a.dy.cols;
  const float *z = row_of<float>(a.z, row), *dy = row_of<float>(a.dy, row);
  const bool drops = a.dropout.on();
  DropoutMask mask(a.dropout);
  if (drops) mask.start_row(row_of<int32_t>(a.row_ids, 0)[row]);
  const auto d = [&](int64_t c, auto n) {
    const Vec v = load_n(dy + c, n);
    return drops ? mask.apply(v, c) : v;
  };
  RowScratch m, dm;
  find_maxima(z, cols, pieces, m.at);
  if (a.gamma.empty()) {
    for_vectors(cols, [&](int64_t c, auto n) { store_n(d(c, n), dm.at + c, n); });
  } else {
    layer_norm_backward_row(
        {.cols = cols,
         .statistics = {row_of<float>(a.mean, 0)[row], row_of<float>(a.rstd, 0)[row]},
         .gamma = row_of<float>(a.gamma, 0),
         .dgamma = dgamma,
         .dbeta = dbeta},
        d, [&](int64_t c, auto n) { return load_n(m.at + c, n); },
        [&](int64_t c, auto n, Vec value) { store_n(value, dm.at + c, n); });
  }
  spread_gradients(z, m.at, dm.at, cols, pieces, row_of<float>(a.dz, row));
}

}  // namespace

void maxout_layer_norm_forward(Stream& s, const MaxoutLayerNormForward& a) {
  with_pieces(a.pieces, [&](auto pieces) {
    s.team().ranges(a.y.rows, 1, [&](int64_t begin, int64_t end) { forward_rows(a, pieces, begin, end); });
  });
}

void maxout_layer_norm_backward(Stream& s, const MaxoutLayerNormBackward& a) {
  with_pieces(a.pieces, [&](auto pieces) {
    if (a.gamma.empty()) {
      s.team().ranges(a.dy.rows, 1, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) backward_row(a, pieces, row, nullptr, nullptr);
      });
    } else {
      sum_over_row_chunks(s, a.dy.rows, a.dgamma, a.dbeta, [&](int64_t row, float* dgamma, float* dbeta) {
        backward_row(a, pieces, row, dgamma, dbeta);
      });
    }
  });
}

}  // namespace aid::AID_TARGET
