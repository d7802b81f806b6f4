#include "kernels/elements/activation.h"

#include <gtest/gtest.h>

#include <bit>
#include <functional>
#include <limits>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/activation.h"

namespace aid::test {
namespace {

constexpr Activation kAll[] = {Activation::none, Activation::gelu_erf, Activation::gelu_tanh, Activation::relu,
                               Activation::tanh};

template <class Real>
std::vector<Real> applied(CSpan x, Activation f) {
  std::vector<Real> y = values_as<Real>(x);
  for (Real& v : y) v = reference::activation<Real>(f, v);
  return y;
}

template <class Real>
std::vector<Real> pulled_back(CSpan dy, CSpan x, Activation f) {
  std::vector<Real> dx = values_as<Real>(dy), at = values_as<Real>(x);
  for (size_t i = 0; i < dx.size(); ++i) dx[i] *= reference::activation_slope<Real>(f, at[i]);
  return dx;
}

TEST(Activation, ForwardAndBackward) {
  for_each_case({}, [](const Case& c) {
    for (const Activation f : kAll) {
      SCOPED_TRACE(static_cast<int>(f));
      OpRun run(c);
      Random random(c);
      const int64_t rows = 3, gap = c.offset * 4;  // with and without gaps: two ways of sharing the work
      const CSpan x = run.input(random.normal(rows * c.size, 3), rows, c.size, {c.dtype, gap});
      const CSpan dy = run.input(random.normal(rows * c.size), rows, c.size, {c.dtype, gap});
      const Span y = run.output(rows, c.size, {c.dtype, gap}), again = run.output(rows, c.size, {c.dtype, gap});
      const Span dx = run.output(rows, c.size, {c.dtype, gap}), dx_alone = run.output(rows, c.size, {c.dtype, gap});
      const Span in_place = run.inout(values(x), rows, c.size), in_place_dx = run.inout(values(dy), rows, c.size);
      run.execute([&](Stream& s) {
        activation_forward(s, {.y = y, .x = x, .activation = f});
        activation_forward(s, {.y = in_place, .x = in_place, .activation = f});
        activation_backward(s, {.dx = dx, .y = again, .dy = dy, .x = x, .activation = f});
        activation_backward(s, {.dx = dx_alone, .dy = dy, .x = x, .activation = f});
        activation_backward(s, {.dx = in_place_dx, .dy = in_place_dx, .x = x, .activation = f});
      });
      expect_close(y, applied<double>(x, f), applied<float>(x, f));
      expect_close(dx, pulled_back<double>(dy, x, f), pulled_back<float>(dy, x, f));
      expect_equal(in_place, values(y));
      expect_equal(again, values(y));
      expect_equal(dx_alone, values(dx));
      expect_equal(in_place_dx, values(dx));
    }
  });
}

TEST(Activation, ReferenceSlopeIsTheDerivative) {
  for (const Activation f : kAll) {
    std::vector<double> x = Random(1).normal(64, 2), slope = x;
    for (double& v : slope) v = reference::activation_slope(f, v);
    expect_gradient(
        slope, x,
        [&](const std::vector<double>& moved) {
          double total = 0;
          for (const double v : moved) total += reference::activation(f, v);
          return total;
        },
        1e-6);
  }
}

// All values that bf16 has. Down to x = -5 the results are as good as rounding allows, with 1/50 ulp for the
// polynomials; below, where x Φ(x) has fallen to 1.4e-6, what counts is the distance from zero.
TEST(Activation, GeluErfOfEveryBf16) {
  constexpr int64_t kCount = 65536;
  constexpr double kUlps = 0.52, kTail = 2e-8;
  const Tensor x(DType::bf16, 1, kCount), one(DType::bf16, 1, kCount), y(DType::bf16, 1, kCount),
      dx(DType::bf16, 1, kCount);
  for (int64_t i = 0; i < kCount; ++i) {
    x.span().as<bf16>()[i] = std::bit_cast<bf16>(static_cast<uint16_t>(i));
    one.span().as<bf16>()[i] = bf16(1.0f);
  }
  const std::vector<double> at = values(x);
  // In units of the last place of `exact` in bf16.
  const auto ulps = [](double actual, double exact) {
    const int exponent = exact == 0 ? -126 : std::max(std::ilogb(exact), -126);
    return std::abs(actual - exact) / std::ldexp(1, exponent - 7);
  };
  for (const Target target : targets()) {
    Stream s({.threads = 1, .target = target});
    const auto there = [&s] { return Tensor(DType::bf16, 1, kCount, s.device()); };
    const Tensor its_x = there(), its_one = there(), its_y = there(), its_dx = there();
    copy(its_x, x);
    copy(its_one, one);
    activation_forward(s, {.y = its_y, .x = its_x, .activation = Activation::gelu_erf});
    activation_backward(s, {.dx = its_dx, .dy = its_one, .x = its_x, .activation = Activation::gelu_erf});
    s.synchronize();
    copy(y, its_y);
    copy(dx, its_dx);
    const std::vector<double> value = values(y), slope = values(dx);
    for (size_t i = 0; i < at.size(); ++i) {
      if (std::isnan(at[i])) {
        ASSERT_TRUE(std::isnan(value[i]) && std::isnan(slope[i])) << "of NaN";
      } else if (std::isinf(at[i])) {
        ASSERT_EQ(value[i], std::max(at[i], 0.0));
        ASSERT_EQ(slope[i], at[i] > 0);
      } else {
        const double cdf = std::erfc(-at[i] / std::numbers::sqrt2) / 2;  // erf would lose the tail's digits
        const double exact = at[i] * cdf;
        const double exact_slope = cdf + at[i] * std::exp(-at[i] * at[i] / 2) / std::sqrt(2 * std::numbers::pi);
        if (at[i] >= -5) {
          ASSERT_LE(ulps(value[i], exact), kUlps) << "x Φ(x) at " << at[i] << ": " << value[i];
          ASSERT_LE(ulps(slope[i], exact_slope), kUlps) << "its slope at " << at[i] << ": " << slope[i];
        } else {
          ASSERT_NEAR(value[i], exact, kTail) << "x Φ(x) at " << at[i];
          ASSERT_NEAR(slope[i], exact_slope, kTail) << "its slope at " << at[i];
        }
      }
    }
  }
}

// Far tails, zeros and what is not finite.
TEST(Activation, EdgesOfTheRange) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  for (const Target target : targets()) {
    Stream s({.threads = 1, .target = target});
    const float x[] = {0.0f, -0.0f, 30.0f, -30.0f, 1e30f, -1e30f, kInfinity, kNan, 1e-30f};
    constexpr int64_t kCount = std::size(x);
    const auto at = [&](Activation f, int64_t i) {
      const Scratch scratch(s);
      const Span y = s.arena().take(DType::f32, kCount);
      activation_forward(s, {.y = y, .x = s.upload(vector(x, kCount)), .activation = f});
      float result[kCount];
      s.download(vector(result, kCount), y);
      s.synchronize();
      return result[i];
    };
    for (const Activation f : {Activation::gelu_erf, Activation::gelu_tanh}) {
      EXPECT_EQ(at(f, 0), 0.0f);
      EXPECT_EQ(at(f, 2), 30.0f);
      EXPECT_EQ(at(f, 3), 0.0f);
      EXPECT_EQ(at(f, 4), 1e30f);
      EXPECT_EQ(at(f, 5), 0.0f);
      EXPECT_EQ(at(f, 6), kInfinity);
      EXPECT_TRUE(std::isnan(at(f, 7)));
      EXPECT_FLOAT_EQ(at(f, 8), 0.5e-30f);
    }
    EXPECT_EQ(at(Activation::tanh, 2), 1.0f);
    EXPECT_EQ(at(Activation::tanh, 5), -1.0f);
    EXPECT_EQ(at(Activation::tanh, 6), 1.0f);
    EXPECT_FLOAT_EQ(at(Activation::tanh, 8), 1e-30f);
    EXPECT_TRUE(std::isnan(at(Activation::tanh, 7)));
    EXPECT_TRUE(std::isnan(at(Activation::relu, 7)));
    EXPECT_EQ(at(Activation::relu, 3), 0.0f);
  }
}

}  // namespace
}  // namespace aid::test
