// exp, tanh and the normal distribution against the C library in double: over every value that bf16 has, over f32 from
// end to end, and where the functions change their ways. The bounds are those that kernels/cpu/math.h states.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "kernels/core/target.h"
#include "tests/cpu/math_functions.h"

namespace aid::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN(),
                kLargest = std::numeric_limits<float>::max(), kSmallest = std::numeric_limits<float>::denorm_min();

class CpuMath : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    if (!supported(GetParam())) GTEST_SKIP() << "this processor does not have it";
  }
  std::vector<float> results(MathFn* avx2, MathFn* avx512, MathFn* avx512_bf16, const std::vector<float>& x) const {
    std::vector<float> y(x.size());
    MathFn* const f = GetParam() == Target::cpu_avx2 ? avx2 : GetParam() == Target::cpu_avx512 ? avx512 : avx512_bf16;
    f(y.data(), x.data(), static_cast<int64_t>(x.size()));
    return y;
  }
  std::vector<float> exps(const std::vector<float>& x) const {
    return results(cpu_avx2::exp_of, cpu_avx512::exp_of, cpu_avx512_bf16::exp_of, x);
  }
  std::vector<float> tanhs(const std::vector<float>& x) const {
    return results(cpu_avx2::tanh_of, cpu_avx512::tanh_of, cpu_avx512_bf16::tanh_of, x);
  }
  std::vector<float> cdfs(const std::vector<float>& x) const {
    return results(cpu_avx2::normal_cdf_of, cpu_avx512::normal_cdf_of, cpu_avx512_bf16::normal_cdf_of, x);
  }
};
INSTANTIATE_TEST_SUITE_P(All, CpuMath, testing::Values(Target::cpu_avx2, Target::cpu_avx512, Target::cpu_avx512_bf16),
                         [](const auto& test) { return name_of(test.param); });

// The neighbours of x in f32, `each_side` below and above: where a function is cut off or changes its formula.
void add_around(std::vector<float>& values, float x, int each_side = 2000) {
  float below = x, above = x;
  values.push_back(x);
  for (int i = 0; i < each_side; ++i) {
    values.push_back(below = std::nextafter(below, -kInfinity));
    values.push_back(above = std::nextafter(above, kInfinity));
  }
}

// Every bf16, and every 1,021st of all f32: subnormals, infinities and NaN of either sign among them.
const std::vector<float>& sweep() {
  static const std::vector<float> all = [] {
    std::vector<float> values;
    for (uint32_t bits = 0; bits < 65536; ++bits) values.push_back(std::bit_cast<float>(bits << 16));
    for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 1021) {
      values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    }
    for (const float x : {0.0f, 0.625f, -0.625f, 1.0f, 88.72284f, 89.0f, -87.336f, -103.9721f, -104.0f, -5.0f}) {
      add_around(values, x);
    }
    return values;
  }();
  return all;
}

// The distance in units of the last place that `exact` has in f32.
double ulps(float actual, double exact) {
  const int exponent = exact == 0 ? -126 : std::max(std::ilogb(exact), -126);
  return std::abs(static_cast<double>(actual) - exact) / std::ldexp(1.0, exponent - 23);
}

TEST_P(CpuMath, ExpIsWithin1Point1Ulps) {
  constexpr double kUlps = 1.1;
  const std::vector<float> y = exps(sweep());
  double worst = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const float x = sweep()[i];
    const double exact = std::exp(static_cast<double>(x));
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(y[i])) << "of NaN: " << y[i];
    } else if (exact > static_cast<double>(kLargest)) {
      ASSERT_TRUE(y[i] == kInfinity || (x < 88.73f && y[i] == kLargest)) << "e^" << x << " = " << y[i];
    } else {
      worst = std::max(worst, ulps(y[i], exact));
      ASSERT_LE(ulps(y[i], exact), kUlps) << "e^" << x << " = " << y[i] << ", expected " << exact;
    }
  }
  RecordProperty("largest_error_in_ulps", std::to_string(worst));
}

TEST_P(CpuMath, ExpAtItsEnds) {
  const std::vector<float> y =
      exps({0.0f, -0.0f, kSmallest, -kSmallest, kInfinity, -kInfinity, kLargest, -kLargest, 88.73f, -104.0f});
  const std::vector<float> expected = {1, 1, 1, 1, kInfinity, 0, kInfinity, 0, kInfinity, 0};
  EXPECT_EQ(y, expected);
  EXPECT_TRUE(std::isnan(exps({kNan})[0]));
  EXPECT_TRUE(std::isnan(exps({-kNan})[0]));
  EXPECT_GT(exps({-103.9f})[0], 0.0f);  // subnormal results are there
}

TEST_P(CpuMath, TanhIsWithin1Point5UlpsAndOdd) {
  constexpr double kUlps = 1.5;
  std::vector<float> negated = sweep();
  for (float& x : negated) x = -x;
  const std::vector<float> y = tanhs(sweep()), y_negated = tanhs(negated);
  double worst = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const float x = sweep()[i];
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(y[i])) << "of NaN: " << y[i];
      continue;
    }
    const double exact = std::tanh(static_cast<double>(x));
    worst = std::max(worst, ulps(y[i], exact));
    ASSERT_LE(ulps(y[i], exact), kUlps) << "tanh " << x << " = " << y[i] << ", expected " << exact;
    ASSERT_LE(std::abs(y[i]), 1.0f) << "tanh " << x;
    ASSERT_EQ(std::bit_cast<uint32_t>(y[i]) ^ 0x80000000u, std::bit_cast<uint32_t>(y_negated[i])) << "tanh " << x;
  }
  RecordProperty("largest_error_in_ulps", std::to_string(worst));
}

TEST_P(CpuMath, TanhAtItsEnds) {
  const std::vector<float> y = tanhs({0.0f, kSmallest, -kSmallest, kInfinity, -kInfinity, kLargest, -kLargest, 10.0f});
  EXPECT_EQ(y, (std::vector<float>{0, kSmallest, -kSmallest, 1, -1, 1, -1, 1}));
  EXPECT_TRUE(std::signbit(tanhs({-0.0f})[0]));
}

// Φ(x) = erfc(-x / √2) / 2, which keeps the digits of the lower tail.
TEST_P(CpuMath, NormalDistributionIsAsCloseAsStated) {
  constexpr double kError = 2.5e-7, kErrorTimesX = 7e-8, kRelativeInTail = 6e-5;
  const std::vector<float> y = cdfs(sweep());
  for (size_t i = 0; i < y.size(); ++i) {
    const float x = sweep()[i];
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(y[i])) << "of NaN: " << y[i];
      continue;
    }
    const double exact = std::erfc(-static_cast<double>(x) / std::numbers::sqrt2) / 2;
    const double error = std::abs(static_cast<double>(y[i]) - exact);
    ASSERT_LE(error, kError) << "of " << x << " = " << y[i] << ", expected " << exact;
    if (x < 0) {
      ASSERT_LE(error * -static_cast<double>(std::max(x, -kLargest)), kErrorTimesX) << "of " << x << " = " << y[i];
    }
    if (x < 0 && x > -5) {
      ASSERT_LE(error, kRelativeInTail * exact) << "of " << x << " = " << y[i];
    }
  }
}

}  // namespace
}  // namespace aid::test
