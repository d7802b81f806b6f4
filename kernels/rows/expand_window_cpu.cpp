// Equations: expand_window.h. A thread takes a contiguous range of rows.
#include "kernels/rows/expand_window.h"

#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {
namespace {

[[gnu::flatten]] void expand_rows(const ExpandWindowForward& a, int64_t begin, int64_t end) {
  const int64_t rows = a.x.rows, cols = a.x.cols;
  for (int64_t row = begin; row < end; ++row) {
    float* y = row_of<float>(a.y, row);
    for (int64_t from = row - a.window; from <= row + a.window; ++from, y += cols) {
      if (from < 0 || from >= rows) {
        for_vectors(cols, [&](int64_t c, auto n) { store_n(Vec(0.0f), y + c, n); });
      } else {
        const float* x = row_of<float>(a.x, from);
        for_vectors(cols, [&](int64_t c, auto n) { store_n(load_n(x + c, n), y + c, n); });
      }
    }
  }
}

[[gnu::flatten]] void collect_rows(const ExpandWindowBackward& a, int64_t begin, int64_t end) {
  const int64_t rows = a.dx.rows, cols = a.dx.cols, w = a.window;
  for (int64_t row = begin; row < end; ++row) {
    // Row - j + w is a row of dy.
    const int64_t first = row + w < rows ? 0 : row + w - rows + 1, last = row + w < 2 * w ? row + w : 2 * w;
    float* dx = row_of<float>(a.dx, row);
    const float* dy2 = a.dy2.empty() ? nullptr : row_of<float>(a.dy2, row);
    for_vectors(cols, [&](int64_t c, auto n) {
      Vec sum = dy2 != nullptr ? load_n(dy2 + c, n) : Vec(0.0f);
      for (int64_t j = first; j <= last; ++j) sum += load_n(row_of<float>(a.dy, row - j + w) + j * cols + c, n);
      store_n(sum, dx + c, n);
    });
  }
}

}  // namespace

void expand_window_forward(Stream& s, const ExpandWindowForward& a) {
  s.team().ranges(a.x.rows, 1, [&](int64_t begin, int64_t end) { expand_rows(a, begin, end); });
}

void expand_window_backward(Stream& s, const ExpandWindowBackward& a) {
  s.team().ranges(a.dx.rows, 1, [&](int64_t begin, int64_t end) { collect_rows(a, begin, end); });
}

}  // namespace aid::AID_TARGET
