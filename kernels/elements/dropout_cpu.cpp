// Equation: dropout.h. A thread takes a contiguous range of rows; the mask is computed 128 columns at a time and never
// stored.
#include "kernels/elements/dropout.h"

#include "kernels/cpu/philox.h"

namespace aid::AID_TARGET {
namespace {

template <class T>
[[gnu::flatten]] void drop_rows(const DropoutForward& a, int64_t begin, int64_t end) {
  const bool drops = a.dropout.on();
  DropoutMask mask(a.dropout);
  for (int64_t row = begin; row < end; ++row) {
    const T* x = row_of<T>(a.x, row);
    T* y = row_of<T>(a.y, row);
    if (drops) mask.start_row(row_of<int32_t>(a.row_ids, 0)[row]);
    for_vectors(a.x.cols, [&](int64_t c, auto n) {
      const Vec v = load_n(x + c, n);
      store_n(drops ? mask.apply(v, c) : v, y + c, n);
    });
  }
}

}  // namespace

void dropout_forward(Stream& s, const DropoutForward& a) {
  with_float_type(a.x.dtype, [&]<class T>(T) {
    s.team().ranges(a.x.rows, 1, [&](int64_t begin, int64_t end) { drop_rows<T>(a, begin, end); });
  });
}

}  // namespace aid::AID_TARGET
