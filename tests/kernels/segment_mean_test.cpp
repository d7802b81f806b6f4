#include "kernels/rows/segment_mean.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/segment_mean.h"

namespace aid::test {
namespace {

// Segments of 1 to 5 rows.
std::vector<double> borders(int64_t segments) {
  std::vector<double> first = {0};
  for (int64_t t = 0; t < segments; ++t) first.push_back(first.back() + static_cast<double>(1 + t * 7 % 5));
  return first;
}

TEST(SegmentMean, ForwardAndBackward) {
  for_each_case({.dtypes = {DType::f32}}, [](const Case& c) {
    for (const auto& [segments, cols] : {std::pair<int64_t, int64_t>{4, c.size}, {c.size, 12}}) {
      OpRun run(c);
      Random random(c);
      const CSpan first = run.input(borders(segments), 1, segments + 1, {DType::i32});
      const std::vector<int32_t> begin = values_as<int32_t>(first);
      const int64_t rows = begin.back();
      const CSpan x = run.input(random.normal(rows * cols), rows, cols, {DType::f32, 3});
      const CSpan dy = run.input(random.normal(segments * cols), segments, cols, {DType::f32, 1});
      const Span y = run.output(segments, cols, {DType::f32, 2}), dx = run.output(rows, cols);
      run.execute([&](Stream& s) {
        segment_mean_forward(s, {.y = y, .x = x, .first = first});
        segment_mean_backward(s, {.dx = dx, .dy = dy, .first = first});
      });
      expect_close(y, reference::segment_mean<double>(values(x), begin, cols),
                   reference::segment_mean<float>(values_as<float>(x), begin, cols));
      expect_close(dx, reference::segment_mean_backward<double>(values(dy), begin, cols),
                   reference::segment_mean_backward<float>(values_as<float>(dy), begin, cols));
    }
  });
}

TEST(SegmentMean, ReferenceGradientIsTheDerivative) {
  Random random(1);
  const std::vector<int32_t> first = {0, 1, 4, 6};
  const int64_t cols = 3;
  const auto x = random.normal(6 * cols), dy = random.normal(3 * cols);
  expect_gradient(reference::segment_mean_backward<double>(dy, first, cols), x, [&](const auto& moved) {
    const auto y = reference::segment_mean<double>(moved, first, cols);
    double total = 0;
    for (size_t i = 0; i < y.size(); ++i) total += y[i] * dy[i];
    return total;
  });
}

TEST(SegmentMean, RefusesEmptySegments) {
  Stream s;
  const Tensor x = Tensor::zeros(DType::f32, 2, 4), y = Tensor::zeros(DType::f32, 2, 4);
  const int32_t first[] = {0, 2, 2};
  EXPECT_THROW(segment_mean_forward(s, {.y = y, .x = x, .first = vector(first, 3)}), std::invalid_argument);
}

}  // namespace
}  // namespace aid::test
