// Every element is read once, widened to f32 and written once in the other type.
#include "kernels/elements/cast.h"

#include "kernels/cpu/elementwise.h"

namespace aid::AID_TARGET {
namespace {

template <class F>
void with_storage_type(DType dtype, F&& f) {
  if (dtype == DType::f16) {
    f(f16{});
  } else {
    with_float_type(dtype, f);
  }
}

template <class To, class From>
[[gnu::flatten]] void cast_run(To* y, const From* x, int64_t size) {
  for_vectors(size, [&](int64_t i, auto n) { store_n(load_n(x + i, n), y + i, n); });
}

}  // namespace

void cast(Stream& s, const Cast& a) {
  with_storage_type(a.x.dtype, [&]<class From>(From) {
    with_storage_type(a.y.dtype, [&]<class To>(To) {
      for_element_runs(s, a.y, without_gaps(a.x) && without_gaps(a.y), [&](int64_t row, int64_t begin, int64_t end) {
        cast_run(row_of<To>(a.y, row) + begin, row_of<From>(a.x, row) + begin, end - begin);
      });
    });
  });
}

}  // namespace aid::AID_TARGET
