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

constexpr Activation kAll[] = {Activation::none, Activation::gelu_erf, Activation::gelu_tanh,
                               Activation::relu, Activation::tanh,     Activation::logistic};

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

// A function and its slope in double, with all their digits in the tails, and how close bf16 results come: `ulps` units
// of the last place, and below x = `from` (of the slope, `slope_from`) `distance` more.
struct Bf16Sweep {
  Activation activation;
  double (*value)(double);
  double (*slope)(double);
  double ulps, from, slope_from, distance;
};
double gelu_tanh_gate(double x) {  // (1 + tanh u) / 2, where tanh would lose the lower tail's digits
  return 1 / (1 + std::exp(-2 * std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}
// erfc instead of erf for the same reason.
double normal_cdf(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }
const Bf16Sweep kSweeps[] = {
    // Rounding is 1/2 ulp, the polynomials 1/50. Below x = -5, where x Φ(x) has fallen to 1.4e-6, what counts is the
    // distance from zero.
    {Activation::gelu_erf, [](double x) { return x * normal_cdf(x); },
     [](double x) { return normal_cdf(x) + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }, 0.52, -5, -5,
     1.6e-8},
    {Activation::gelu_tanh, [](double x) { return x * gelu_tanh_gate(x); },
     [](double x) {
       const double gate = gelu_tanh_gate(x);
       return gate + x * gate * gelu_tanh_gate(-x) * 2 * std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * x * x);
     },
     0.52, -5, -5, 1.6e-8},
    {Activation::relu, [](double x) { return std::max(x, 0.0); }, [](double x) { return x > 0 ? 1.0 : 0.0; }, 0,
     -INFINITY, -INFINITY, 0},
    // The slope is 1 - y^2 of a y in f32, as torch has it: as close as f32 comes to 1.
    {Activation::tanh, [](double x) { return std::tanh(x); },
     [](double x) { return 1 / (std::cosh(x) * std::cosh(x)); }, 0.52, -INFINITY, INFINITY, 2e-7},
};

// All values that bf16 has.
TEST(Activation, EveryBf16) {
  constexpr int64_t kCount = 65536;
  const Tensor x(DType::bf16, 1, kCount), one(DType::bf16, 1, kCount), y(DType::bf16, 1, kCount),
      dx(DType::bf16, 1, kCount);
  for (int64_t i = 0; i < kCount; ++i) {
    x.span().as<bf16>()[i] = std::bit_cast<bf16>(static_cast<uint16_t>(i));
    one.span().as<bf16>()[i] = bf16(1.0f);
  }
  const std::vector<double> at = values(x);
  const auto last_place = [](double exact) {
    return std::ldexp(1, (exact == 0 ? -126 : std::max(std::ilogb(exact), -126)) - 7);
  };
  for (const Target target : targets()) {
    for (const Bf16Sweep& sweep : kSweeps) {
      SCOPED_TRACE(std::string(name_of(target)) + ", activation " + std::to_string(static_cast<int>(sweep.activation)));
      Stream s({.threads = 1, .target = target});
      const auto there = [&s] { return Tensor(DType::bf16, 1, kCount, s.device()); };
      const Tensor its_x = there(), its_one = there(), its_y = there(), its_dx = there();
      copy(its_x, x);
      copy(its_one, one);
      activation_forward(s, {.y = its_y, .x = its_x, .activation = sweep.activation});
      activation_backward(s, {.dx = its_dx, .dy = its_one, .x = its_x, .activation = sweep.activation});
      s.synchronize();
      copy(y, its_y);
      copy(dx, its_dx);
      const std::vector<double> value = values(y), slope = values(dx);
      const auto is_close = [&](double actual, double exact, bool in_tail) {
        return std::abs(actual - exact) <= sweep.ulps * last_place(exact) + (in_tail ? sweep.distance : 0);
      };
      for (size_t i = 0; i < at.size(); ++i) {
        if (std::isnan(at[i])) {
          ASSERT_TRUE(std::isnan(value[i])) << "of NaN: " << value[i];
        } else if (std::isfinite(at[i])) {
          ASSERT_TRUE(is_close(value[i], sweep.value(at[i]), at[i] < sweep.from)) << "at " << at[i] << ": " << value[i];
          ASSERT_TRUE(is_close(slope[i], sweep.slope(at[i]), at[i] < sweep.slope_from))
              << "its slope at " << at[i] << ": " << slope[i];
        } else {
          ASSERT_EQ(value[i], sweep.activation == Activation::tanh ? std::copysign(1, at[i]) : std::max(at[i], 0.0));
          ASSERT_EQ(slope[i], sweep.activation != Activation::tanh && at[i] > 0);
        }
      }
    }
  }
}

// Far tails, zeros and what is not finite: in f32, x and its square and cube overflow too.
TEST(Activation, EdgesOfTheRange) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {0.0f,   -0.0f,  1e-30f, 30.0f,  63.0f,  65.0f,     1e6f,       1e13f,
                                1e19f,  3e19f,  1e30f,  3e38f,  -30.0f, -63.0f,    -65.0f,     -1e6f,
                                -1e13f, -1e19f, -3e19f, -1e30f, -3e38f, kInfinity, -kInfinity, kNan};
  const auto count = static_cast<int64_t>(x.size());
  for (const Target target : targets()) {
    for (const Activation f : kAll) {
      SCOPED_TRACE(std::string(name_of(target)) + ", activation " + std::to_string(static_cast<int>(f)));
      Stream s({.threads = 1, .target = target});
      const Scratch scratch(s);
      const Span y = s.arena().take(DType::f32, count), dx = s.arena().take(DType::f32, count);
      const std::vector<float> ones(x.size(), 1.0f);
      std::vector<float> value(x.size()), slope(x.size());
      const CSpan its_x = s.upload(vector(x.data(), count));
      activation_forward(s, {.y = y, .x = its_x, .activation = f});
      activation_backward(s, {.dx = dx, .dy = s.upload(vector(ones.data(), count)), .x = its_x, .activation = f});
      s.download(vector(value.data(), count), y);
      s.download(vector(slope.data(), count), dx);
      s.synchronize();
      const bool is_gelu = f == Activation::gelu_erf || f == Activation::gelu_tanh;
      for (size_t i = 0; i < x.size(); ++i) {
        SCOPED_TRACE(x[i]);
        if (std::isnan(x[i])) {
          EXPECT_TRUE(std::isnan(value[i])) << value[i];
          const bool is_smooth = is_gelu || f == Activation::tanh || f == Activation::logistic;
          EXPECT_TRUE(is_smooth ? std::isnan(slope[i]) : slope[i] == 1) << slope[i];
        } else if (f == Activation::logistic) {
          const double exact = reference::activation(f, static_cast<double>(x[i]));
          const double exact_slope = reference::activation_slope(f, static_cast<double>(x[i]));
          EXPECT_NEAR(value[i], exact, 2e-7 * exact);
          EXPECT_NEAR(slope[i], exact_slope, 5e-7 * exact_slope);
        } else if (std::abs(x[i]) <= 1e-30f) {
          EXPECT_FLOAT_EQ(value[i], is_gelu ? x[i] / 2 : f == Activation::relu ? std::max(x[i], 0.0f) : x[i]);
          EXPECT_EQ(slope[i], is_gelu ? 0.5f : f == Activation::relu && x[i] <= 0 ? 0 : 1);
        } else if (f == Activation::tanh) {
          EXPECT_EQ(value[i], std::copysign(1.0f, x[i]));
          EXPECT_EQ(slope[i], 0);
        } else {
          EXPECT_EQ(value[i], f == Activation::none ? x[i] : std::max(x[i], 0.0f));
          EXPECT_EQ(slope[i], f == Activation::none || x[i] > 0 ? 1 : 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace aid::test
