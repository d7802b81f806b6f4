#include "kernels/lookup/gather_rows.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"

namespace aid::test {
namespace {

TEST(GatherRows, PicksRowsAndPutsThemBack) {
  for_each_case({}, [](const Case& c) {
    OpRun run(c);
    Random random(c);
    const std::vector<double> rows = {9, 0, 4, 3};
    const int64_t picked = static_cast<int64_t>(rows.size());
    const CSpan x = run.input(random.normal(10 * c.size), 10, c.size, {c.dtype, 3});
    const CSpan index = run.input(rows, 1, picked, {DType::i32});
    const Span y = run.output(picked, c.size), back = run.output(10, c.size, {c.dtype, 2});
    run.execute([&](Stream& s) {
      gather_rows(s, {.y = y, .x = x, .index = index});
      scatter_rows(s, {.y = back, .x = y, .index = index});
    });
    const std::vector<double> source = values(x);
    std::vector<double> gathered, scattered(source.size(), 0);
    for (const double row : rows) {
      for (int64_t i = 0; i < c.size; ++i) {
        const size_t at = static_cast<size_t>(row) * static_cast<size_t>(c.size) + static_cast<size_t>(i);
        gathered.push_back(source[at]);
        scattered[at] = source[at];
      }
    }
    expect_equal(y, gathered);
    expect_equal(back, scattered);
  });
}

TEST(GatherRows, RefusesRowsOutOfRange) {
  Stream s;
  const Tensor x = Tensor::zeros(DType::f32, 2, 4), y = Tensor::zeros(DType::f32, 1, 4);
  const int32_t index = 2;
  EXPECT_THROW(gather_rows(s, {.y = y, .x = x, .index = vector(&index, 1)}), std::invalid_argument);
  EXPECT_THROW(scatter_rows(s, {.y = x, .x = y, .index = vector(&index, 1)}), std::invalid_argument);
}

}  // namespace
}  // namespace aid::test
