// Comparisons of an op's result with its double reference, and of gradients with finite differences.
#pragma once

#include <functional>
#include <vector>

#include "kernels/core/span.h"

namespace aid::test {

// The elements of a span (f32, bf16, f16, i32, i64), row by row.
std::vector<double> values(CSpan span);
// As T: for references in single precision.
template <class T>
std::vector<T> values_as(CSpan span) {
  const std::vector<double> wide = values(span);
  return std::vector<T>(wide.begin(), wide.end());
}

// The value rounded to dtype, and back.
double round_to(double value, DType dtype);

// A result is as good as can be asked for when its largest error against the double reference is at most twice the
// largest error of a naive implementation in the same precision (f32 arithmetic, its result rounded to the span's
// dtype). Where the naive one is exact by luck, a floor applies: four half-ulps of f32, or one half-ulp of a 16-bit
// type, of the largest reference value, or of `scale` where the terms of a sum are larger than the sum.
void expect_close(CSpan actual, const std::vector<double>& reference, const std::vector<float>& naive,
                  double scale = 0);

// The same bits as `expected`, once that is rounded to the span's dtype.
void expect_equal(CSpan actual, const std::vector<double>& expected);

// d loss / d x_i by central differences of four points (error O(h⁴)) against gradient[i], for up to 64 elements spread
// over x: |difference| <= tolerance * (1 + largest |gradient|).
void expect_gradient(const std::vector<double>& gradient, const std::vector<double>& x,
                     const std::function<double(const std::vector<double>&)>& loss, double tolerance = 1e-7);

}  // namespace aid::test
