#include "kernels/lookup/gather_rows.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"

namespace aid::test {
namespace {

TEST(GatherRows, PicksRowsAndAddsThemBack) {
  for_each_case({}, [](const Case& c) {
    OpRun run(c);
    Random random(c);
    const std::vector<double> rows = {0, 3, 4, 9};
    const int64_t picked = static_cast<int64_t>(rows.size());
    const CSpan x = run.input(random.normal(10 * c.size), 10, c.size, {c.dtype, 3});
    const CSpan index = run.input(rows, 1, picked, {DType::i32});
    const Span y = run.output(picked, c.size);
    const CSpan added = run.input(random.normal(picked * c.size), picked, c.size, {c.dtype, 1});
    const std::vector<double> before = random.normal(10 * c.size);
    const Span sum = run.inout(before, 10, c.size, {c.dtype, 2});
    run.execute([&](Stream& s) {
      gather_rows(s, {.y = y, .x = x, .index = index});
      scatter_add_rows(s, {.y = sum, .x = added, .index = index});
    });
    const std::vector<double> source = values(x), more = values(added);
    std::vector<double> gathered, expected;
    for (const double value : before) expected.push_back(round_to(value, c.dtype));
    for (size_t i = 0; i < rows.size(); ++i) {
      for (size_t col = 0; col < static_cast<size_t>(c.size); ++col) {
        const size_t at = static_cast<size_t>(rows[i]) * static_cast<size_t>(c.size) + col;
        gathered.push_back(source[at]);
        // One f32 addition, rounded once more to the span's type: exactly that.
        expected[at] = static_cast<float>(expected[at] + more[i * static_cast<size_t>(c.size) + col]);
      }
    }
    expect_equal(y, gathered);
    expect_equal(sum, expected);
  });
}

TEST(GatherRows, RefusesRowsOutOfRangeOrTwice) {
  Stream s;
  const Tensor x = Tensor::zeros(DType::f32, 2, 4), y = Tensor::zeros(DType::f32, 2, 4);
  const auto index = [](std::vector<int32_t> rows) { return rows; };
  for (const auto& wrong : {index({0, 2}), index({-1, 0})}) {
    EXPECT_THROW(gather_rows(s, {.y = y, .x = x, .index = vector(wrong.data(), 2)}), std::invalid_argument);
    EXPECT_THROW(scatter_add_rows(s, {.y = x, .x = y, .index = vector(wrong.data(), 2)}), std::invalid_argument);
  }
  for (const auto& wrong : {index({1, 1}), index({1, 0})}) {
    EXPECT_THROW(scatter_add_rows(s, {.y = x, .x = y, .index = vector(wrong.data(), 2)}), std::invalid_argument);
  }
}

}  // namespace
}  // namespace aid::test
