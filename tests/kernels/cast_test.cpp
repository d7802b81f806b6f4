#include "kernels/elements/cast.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"

namespace aid::test {
namespace {

TEST(Cast, EveryPairOfTypes) {
  for_each_case({.dtypes = {DType::f32, DType::bf16, DType::f16}}, [](const Case& c) {
    for (const DType to : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t gap : {0, 3}) {
        OpRun run(c);
        Random random(c);
        const CSpan x = run.input(random.normal(3 * c.size, 10), 3, c.size, {c.dtype, gap});
        const Span y = run.output(3, c.size, {to, gap});
        run.execute([&](Stream& s) { cast(s, {.y = y, .x = x}); });
        expect_equal(y, values(x));
      }
    }
  });
}

// Every bfloat16 survives the way to f32 and back, NaNs included; subnormals, ties and overflow round as the scalar
// does.
TEST(Cast, EveryBfloat16) {
  for (const Target target : targets()) {
    Stream s({.threads = 1, .target = target});
    std::vector<bf16> narrow(1 << 16), back(1 << 16);
    std::vector<float> wide(1 << 16);
    for (size_t i = 0; i < narrow.size(); ++i) narrow[i].bits = static_cast<uint16_t>(i);
    const auto run = [&](const Span& to, const CSpan& from) {
      const Scratch scratch(s);
      const Span y = s.arena().take(to.dtype, to.cols);
      cast(s, {.y = y, .x = s.upload(from)});
      s.download(to, y);
      s.synchronize();
    };
    run(vector(wide.data(), 1 << 16), vector<const bf16>(narrow.data(), 1 << 16));
    for (uint32_t low : {0u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      std::vector<float> x = wide;
      for (float& v : x) v = std::bit_cast<float>(std::bit_cast<uint32_t>(v) | low);
      run(vector(back.data(), 1 << 16), vector<const float>(x.data(), 1 << 16));
      for (size_t i = 0; i < back.size(); ++i) ASSERT_EQ(back[i].bits, bf16(x[i]).bits) << i << " low bits " << low;
    }
  }
}

TEST(Cast, RefusesIntegers) {
  Stream s;
  const Tensor x = Tensor::zeros(DType::i32, 1, 4), y = Tensor::zeros(DType::f32, 1, 4);
  EXPECT_THROW(cast(s, {.y = y, .x = x}), std::invalid_argument);
}

}  // namespace
}  // namespace aid::test
