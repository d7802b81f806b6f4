#include "tests/kernels/compare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/kernels/harness.h"

namespace aid::test {

std::vector<double> values(CSpan span) {
  span = on_host(span);
  std::vector<double> result(static_cast<size_t>(span.size()));
  for (int64_t i = 0; i < span.size(); ++i) {
    const int64_t at = i / span.cols * span.stride + i % span.cols;
    double& value = result[static_cast<size_t>(i)];
    switch (span.dtype) {
      case DType::f32:
        value = span.as<float>()[at];
        break;
      case DType::bf16:
        value = static_cast<float>(span.as<bf16>()[at]);
        break;
      case DType::f16:
        value = static_cast<float>(static_cast<const _Float16*>(span.data)[at]);
        break;
      case DType::i32:
        value = span.as<int32_t>()[at];
        break;
      case DType::i64:
        value = static_cast<double>(span.as<int64_t>()[at]);
        break;
      default:
        AID_CHECK(false, "test: no values of ", name_of(span.dtype));
    }
  }
  return result;
}

double round_to(double value, DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return static_cast<float>(bf16(static_cast<float>(value)));
    case DType::f16:
      return static_cast<float>(static_cast<_Float16>(static_cast<float>(value)));
    default:
      return static_cast<float>(value);
  }
}

void expect_close(CSpan actual, const std::vector<double>& reference, const std::vector<float>& naive, double scale) {
  ASSERT_EQ(static_cast<size_t>(actual.size()), reference.size());
  ASSERT_EQ(naive.size(), reference.size());
  const std::vector<double> got = values(actual);
  double largest = scale, naive_error = 0, error = 0;
  size_t worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::abs(reference[i]));
    naive_error = std::max(naive_error, std::abs(round_to(naive[i], actual.dtype) - reference[i]));
    const double difference = std::abs(got[i] - reference[i]);
    if (std::isnan(difference) ? !std::isnan(error) : difference > error) {
      error = difference;
      worst = i;
    }
  }
  const double half_ulp = actual.dtype == DType::f32 ? 4 * 0x1p-24 : actual.dtype == DType::bf16 ? 0x1p-8 : 0x1p-11;
  const double tolerance = 2 * naive_error + half_ulp * largest;
  if (error <= tolerance) return;
  ADD_FAILURE() << "row " << static_cast<int64_t>(worst) / actual.cols << ", column "
                << static_cast<int64_t>(worst) % actual.cols << " of " << actual.rows << " x " << actual.cols << ": "
                << got[worst] << ", reference " << reference[worst] << "; error " << error << ", tolerance "
                << tolerance << " (a naive implementation's error: " << naive_error << ")";
}

void expect_equal(CSpan actual, const std::vector<double>& expected) {
  ASSERT_EQ(static_cast<size_t>(actual.size()), expected.size());
  const std::vector<double> got = values(actual);
  for (size_t i = 0; i < got.size(); ++i) {
    const double want = round_to(expected[i], actual.dtype);
    if (got[i] == want || (std::isnan(got[i]) && std::isnan(want))) continue;
    ADD_FAILURE() << "row " << static_cast<int64_t>(i) / actual.cols << ", column "
                  << static_cast<int64_t>(i) % actual.cols << ": " << got[i] << ", expected " << want;
    return;
  }
}

void expect_gradient(const std::vector<double>& gradient, const std::vector<double>& x,
                     const std::function<double(const std::vector<double>&)>& loss, double tolerance) {
  ASSERT_EQ(gradient.size(), x.size());
  double largest = 0;
  for (const double g : gradient) largest = std::max(largest, std::abs(g));
  const size_t step = std::max<size_t>(1, x.size() / 64);
  for (size_t i = 0; i < x.size(); i += step) {
    const double h = 1e-3 * std::max(1.0, std::abs(x[i]));
    std::vector<double> moved = x;
    const auto at = [&](double distance) {
      moved[i] = x[i] + distance;
      return loss(moved);
    };
    const double slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    if (std::abs(slope - gradient[i]) <= tolerance * (1 + largest)) continue;
    ADD_FAILURE() << "gradient of element " << i << ": " << gradient[i] << ", by finite differences " << slope;
    return;
  }
}

}  // namespace aid::test
