// Equations: gather_rows.h. A thread takes a contiguous range of the index; added rows are all different rows of y.
#include "kernels/lookup/gather_rows.h"

#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {

void gather_rows(Stream& s, const GatherRows& a) {
  const int64_t width = static_cast<int64_t>(size_of(a.x.dtype));
  const auto* const x = static_cast<const std::byte*>(a.x.data);
  auto* const y = static_cast<std::byte*>(a.y.data);
  const int32_t* index = row_of<int32_t>(a.index, 0);
  s.team().ranges(a.y.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      __builtin_memcpy(y + row * a.y.stride * width, x + index[row] * a.x.stride * width,
                       static_cast<size_t>(a.x.cols * width));
    }
  });
}

void scatter_add_rows(Stream& s, const ScatterAddRows& a) {
  with_float_type(a.x.dtype, [&]<class T>(T) {
    const int32_t* index = row_of<int32_t>(a.index, 0);
    s.team().ranges(a.x.rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* x = row_of<T>(a.x, row);
        T* y = row_of<T>(a.y, index[row]);
        for_vectors(a.x.cols, [&](int64_t c, auto n) { store_n(load_n(y + c, n) + load_n(x + c, n), y + c, n); });
      }
    });
  });
}

}  // namespace aid::AID_TARGET
