#include "kernels/elements/dropout.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/dropout.h"

namespace aid::test {
namespace {

// The vectors' masks are the scalar generator's, bit for bit.
TEST(Dropout, EqualsTheScalarGenerator) {
  for_each_case({}, [](const Case& c) {
    for (const float p : {0.0f, 0.1f, 0.5f, 0.999f}) {
      OpRun run(c);
      Random random(c);
      const Dropout dropout = {.p = p,
                               .seed = random.next(),
                               .step = static_cast<uint32_t>(random.next()),
                               .site = static_cast<uint32_t>(random.next())};
      std::vector<double> id_values = random.integers(4, int64_t{1} << 31);
      id_values[0] = -2147483648.0;  // ids are 32 bits, whatever their sign
      const CSpan x = run.input(random.normal(4 * c.size), 4, c.size, {c.dtype, 3});
      const CSpan row_ids = run.input(id_values, 1, 4, {DType::i32});
      const Span y = run.output(4, c.size), in_place = run.inout(values(x), 4, c.size);
      run.execute([&](Stream& s) {
        dropout_forward(s, {.y = y, .x = x, .dropout = dropout, .row_ids = row_ids});
        dropout_forward(s, {.y = in_place, .x = in_place, .dropout = dropout, .row_ids = row_ids});
      });
      const std::vector<float> expected =
          reference::dropout(values_as<float>(x), c.size, dropout, values_as<int32_t>(row_ids));
      expect_equal(y, std::vector<double>(expected.begin(), expected.end()));
      expect_equal(in_place, values(y));
    }
  });
}

TEST(Dropout, RefusesProbabilityOneAndMissingIds) {
  Stream s;
  const Tensor x = Tensor::zeros(DType::f32, 2, 4), ids = Tensor::zeros(DType::i32, 1, 2);
  EXPECT_THROW(dropout_forward(s, {.y = x, .x = x, .dropout = {.p = 1}, .row_ids = ids}), std::invalid_argument);
  EXPECT_THROW(dropout_forward(s, {.y = x, .x = x, .dropout = {.p = 0.1f}}), std::invalid_argument);
}

}  // namespace
}  // namespace aid::test
