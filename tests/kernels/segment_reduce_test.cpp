#include "kernels/rows/segment_reduce.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/segment_reduce.h"

namespace aid::test {
namespace {

constexpr Reduction kReductions[] = {Reduction::sum, Reduction::mean, Reduction::max, Reduction::first,
                                     Reduction::last};

// Segments of 0 to 4 rows.
std::vector<double> borders(int64_t segments) {
  std::vector<double> first = {0};
  for (int64_t t = 0; t < segments; ++t) first.push_back(first.back() + static_cast<double>((t + 2) * 7 % 5));
  return first;
}

std::vector<double> numbers(const std::vector<int32_t>& values) { return {values.begin(), values.end()}; }

TEST(SegmentReduce, ForwardAndBackward) {
  for_each_case({.dtypes = {DType::f32}}, [](const Case& c) {
    for (const auto& [segments, cols] : {std::pair<int64_t, int64_t>{4, c.size}, {c.size, 12}}) {
      for (const Reduction reduction : kReductions) {
        OpRun run(c);
        Random random(c);
        const CSpan first = run.input(borders(segments), 1, segments + 1, {DType::i32});
        const std::vector<int32_t> begin = values_as<int32_t>(first);
        const int64_t rows = begin.back();
        // With max a third of all values are equal: which of them is chosen shows.
        const auto source = reduction == Reduction::max ? random.integers(rows * cols, 3) : random.normal(rows * cols);
        const CSpan x = run.input(source, rows, cols, {DType::f32, 3});
        const CSpan dy = run.input(random.normal(segments * cols), segments, cols, {DType::f32, 1});
        const Span y = run.output(segments, cols, {DType::f32, 2}), dx = run.output(rows, cols);
        const Span which = reduction == Reduction::max ? run.output(segments, cols, {DType::i32, 1}) : Span();
        run.execute([&](Stream& s) {
          segment_reduce_forward(s, {.y = y, .which = which, .x = x, .first = first, .reduction = reduction});
          segment_reduce_backward(s, {.dx = dx, .dy = dy, .which = which, .first = first, .reduction = reduction});
        });
        const auto exact = reference::segment_reduce<double>(values(x), begin, cols, reduction);
        expect_close(y, exact.y, reference::segment_reduce<float>(values_as<float>(x), begin, cols, reduction).y);
        if (!which.empty()) expect_equal(which, numbers(exact.which));
        expect_close(
            dx, reference::segment_reduce_backward<double>(values(dy), exact.which, begin, cols, reduction),
            reference::segment_reduce_backward<float>(values_as<float>(dy), exact.which, begin, cols, reduction));
      }
    }
  });
}

TEST(SegmentReduce, ReferenceGradientIsTheDerivative) {
  const std::vector<int32_t> first = {0, 1, 1, 4, 6};
  const int64_t cols = 3;
  for (const Reduction reduction : kReductions) {
    Random random(1);
    const auto x = random.normal(6 * cols), dy = random.normal(4 * cols);
    const auto which = reference::segment_reduce<double>(x, first, cols, reduction).which;
    expect_gradient(reference::segment_reduce_backward<double>(dy, which, first, cols, reduction), x,
                    [&](const auto& moved) {
                      const auto y = reference::segment_reduce<double>(moved, first, cols, reduction).y;
                      double total = 0;
                      for (size_t i = 0; i < y.size(); ++i) total += y[i] * dy[i];
                      return total;
                    });
  }
}

TEST(SegmentReduce, RefusesSegmentsThatDoNotCoverTheRows) {
  Stream s;
  const Tensor x = Tensor::zeros(DType::f32, 2, 4), y = Tensor::zeros(DType::f32, 2, 4);
  for (const auto& first : {std::vector<int32_t>{0, 3, 2}, {1, 1, 2}, {0, 1, 1}}) {
    EXPECT_THROW(segment_reduce_forward(s, {.y = y, .x = x, .first = vector(first.data(), 3)}), std::invalid_argument);
  }
}

}  // namespace
}  // namespace aid::test
