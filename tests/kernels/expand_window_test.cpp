#include "kernels/rows/expand_window.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/expand_window.h"

namespace aid::test {
namespace {

struct Shape {
  int64_t rows, cols, window;
};

// Windows of no neighbour, of one and of more rows than there are.
std::vector<Shape> shapes(const Case& c) { return {{5, c.size, 1}, {c.size, 12, 1}, {3, c.size, 4}, {4, 5, 0}}; }

TEST(ExpandWindow, ForwardAndBackward) {
  for_each_case({.dtypes = {DType::f32}, .sizes = {1, 31, 33, 97, 300, 1025}}, [](const Case& c) {
    for (const auto& [rows, cols, window] : shapes(c)) {
      OpRun run(c);
      Random random(c);
      const int64_t wide = (2 * window + 1) * cols;
      const CSpan x = run.input(random.normal(rows * cols), rows, cols, {DType::f32, c.gap()});
      const CSpan dy = run.input(random.normal(rows * wide), rows, wide, {DType::f32, c.gap()});
      const Span y = run.output(rows, wide, {DType::f32, c.gap()}), dx = run.output(rows, cols);
      const Span sum = run.inout(random.normal(rows * cols), rows, cols, {DType::f32, c.gap()});  // holds dy2 at first
      const std::vector<double> zeros(static_cast<size_t>(rows * cols)), dy2 = values(sum);
      const std::vector<float> naive_zeros(zeros.size()), naive_dy2 = values_as<float>(sum);
      run.execute([&, window = window](Stream& s) {
        expand_window_forward(s, {.y = y, .x = x, .window = window});
        expand_window_backward(s, {.dx = dx, .dy = dy, .window = window});
        expand_window_backward(s, {.dx = sum, .dy = dy, .dy2 = sum, .window = window});
      });
      const std::vector<double> d = values(dy);
      const std::vector<float> naive_d = values_as<float>(dy);
      expect_equal(y, reference::expand_window(values(x), rows, window));
      expect_close(dx, reference::expand_window_backward(zeros, d, rows, window),
                   reference::expand_window_backward(naive_zeros, naive_d, rows, window));
      expect_close(sum, reference::expand_window_backward(dy2, d, rows, window),
                   reference::expand_window_backward(naive_dy2, naive_d, rows, window));
    }
  });
}

TEST(ExpandWindow, ReferenceGradientIsTheDerivative) {
  Random random(1);
  const int64_t rows = 6, cols = 3, window = 2;
  const auto x = random.normal(rows * cols), dy = random.normal(rows * cols * (2 * window + 1));
  const std::vector<double> zeros(x.size());
  expect_gradient(reference::expand_window_backward(zeros, dy, rows, window), x, [&](const auto& moved) {
    const auto y = reference::expand_window(moved, rows, window);
    double total = 0;
    for (size_t i = 0; i < y.size(); ++i) total += y[i] * dy[i];
    return total;
  });
}

TEST(ExpandWindow, RefusesWrongShapes) {
  Stream s;
  const Tensor x = Tensor::zeros(DType::f32, 2, 4), y = Tensor::zeros(DType::f32, 2, 12);
  EXPECT_THROW(expand_window_forward(s, {.y = y, .x = x, .window = 2}), std::invalid_argument);
  EXPECT_THROW(expand_window_forward(s, {.y = y, .x = x, .window = -1}), std::invalid_argument);
  EXPECT_THROW(expand_window_backward(s, {.dx = x, .dy = x, .window = 1}), std::invalid_argument);
}

}  // namespace
}  // namespace aid::test
