#include "kernels/rows/softmax.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/softmax.h"

namespace aid::test {
namespace {

TEST(Softmax, Backward) {
  for_each_case({.dtypes = {DType::f32}}, [](const Case& c) {
    for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{5, c.size}, {c.size, 12}}) {
      OpRun run(c);
      Random random(c);
      const CSpan y =
          run.input(reference::softmax<double>(random.normal(rows * cols), cols), rows, cols, {DType::f32, 3});
      const CSpan dy = run.input(random.normal(rows * cols), rows, cols, {DType::f32, 1});
      const Span dx = run.output(rows, cols, {DType::f32, 2});
      run.execute([&](Stream& s) { softmax_backward(s, {.dx = dx, .dy = dy, .y = y}); });
      expect_close(dx, reference::softmax_backward<double>(values(dy), values(y), cols),
                   reference::softmax_backward<float>(values_as<float>(dy), values_as<float>(y), cols));
    }
  });
}

TEST(Softmax, ReferenceGradientIsTheDerivative) {
  const int64_t cols = 4;
  Random random(1);
  const auto x = random.normal(3 * cols), dy = random.normal(3 * cols);
  expect_gradient(reference::softmax_backward<double>(dy, reference::softmax<double>(x, cols), cols), x,
                  [&](const auto& moved) {
                    const auto y = reference::softmax<double>(moved, cols);
                    double total = 0;
                    for (size_t i = 0; i < y.size(); ++i) total += y[i] * dy[i];
                    return total;
                  });
}

}  // namespace
}  // namespace aid::test
