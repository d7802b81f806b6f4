#include "kernels/rows/residual_layer_norm.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/residual_layer_norm.h"

namespace aid::test {
namespace {

struct Shape {
  int64_t rows, cols;
};

// The case's size once as the length of a row and once as their number.
std::vector<Shape> shapes(const Case& c) { return {{5, c.size}, {c.size, 33}}; }

std::vector<int32_t> ids(CSpan row_ids) { return values_as<int32_t>(row_ids); }

template <class Real>
std::vector<Real> sum(std::vector<Real> a, const std::vector<Real>& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

template <class Real>
std::vector<Real> residual(CSpan x, CSpan delta, const Dropout& dropout, CSpan row_ids) {
  return sum(values_as<Real>(x), reference::dropout(values_as<Real>(delta), x.cols, dropout, ids(row_ids)));
}

TEST(ResidualLayerNorm, ForwardWithDropoutSavesWhatBackwardNeeds) {
  for_each_case({}, [](const Case& c) {
    for (const auto& [rows, cols] : shapes(c)) {
      OpRun run(c);
      Random random(c);
      const Dropout dropout = {.p = 0.1f, .seed = 0x123456789abcdef, .step = 7, .site = 3};
      const CSpan x = run.input(random.normal(rows * cols, 1, 3), rows, cols, {c.dtype, 3});
      const Span z = run.inout(random.normal(rows * cols), rows, cols, {c.dtype, 5});  // holds delta at first
      const std::vector<double> delta = values(z);
      const CSpan gamma = run.input(random.normal(cols, 0.1, 1), 1, cols, {DType::f32});
      const CSpan beta = run.input(random.normal(cols), 1, cols, {DType::f32});
      const CSpan row_ids = run.input(random.integers(rows, 1 << 24), 1, rows, {DType::i32});
      const Span y = run.output(rows, cols, {c.dtype, 1});
      const Span mean = run.output(1, rows, {DType::f32}), rstd = run.output(1, rows, {DType::f32});
      const std::vector<double> exact_z = residual<double>(x, z, dropout, row_ids);
      const std::vector<float> naive_z = residual<float>(x, z, dropout, row_ids);
      const float eps = 1e-12f;
      run.execute([&](Stream& s) {
        residual_layer_norm_forward(s, {.y = y,
                                        .z = z,
                                        .mean = mean,
                                        .rstd = rstd,
                                        .x = x,
                                        .delta = z,
                                        .gamma = gamma,
                                        .beta = beta,
                                        .eps = eps,
                                        .dropout = dropout,
                                        .row_ids = row_ids});
      });
      expect_close(z, exact_z, naive_z);
      const auto exact = reference::layer_norm<double>(exact_z, values(gamma), values(beta), eps);
      const auto naive = reference::layer_norm<float>(naive_z, values_as<float>(gamma), values_as<float>(beta), eps);
      if (cols == 1) continue;  // one value: rstd is 1 / sqrt(eps), and y rounding noise of the mean times that
      expect_close(y, exact.y, naive.y);
      expect_close(mean, exact.mean, naive.mean, 1);
      expect_close(rstd, exact.rstd, naive.rstd);
    }
  });
}

// A mean far above the deviation: a one-pass variance has no digit left. Even a mean that is exact to its last bit
// moves every x - mean of a row by that bit, so f32 is held to the mean's ulps.
TEST(ResidualLayerNorm, PlainInferenceWithLargeMean) {
  constexpr double kMean = 1000;
  for_each_case({}, [](const Case& c) {
    for (const auto& [rows, cols] : shapes(c)) {
      OpRun run(c);
      Random random(c);
      const CSpan x = run.input(random.normal(rows * cols, 1, kMean), rows, cols);
      const CSpan gamma = run.input(random.normal(cols, 0.1, 1), 1, cols, {DType::f32});
      const CSpan beta = run.input(random.normal(cols), 1, cols, {DType::f32});
      const Span y = run.output(rows, cols);
      const float eps = 1e-5f;
      run.execute([&](Stream& s) {
        residual_layer_norm_forward(s, {.y = y, .delta = x, .gamma = gamma, .beta = beta, .eps = eps});
      });
      expect_close(
          y, reference::layer_norm<double>(values(x), values(gamma), values(beta), eps).y,
          reference::layer_norm<float>(values_as<float>(x), values_as<float>(gamma), values_as<float>(beta), eps).y,
          c.dtype == DType::f32 ? kMean : 0);
    }
  });
}

TEST(ResidualLayerNorm, Backward) {
  for_each_case({}, [](const Case& c) {
    for (const auto& [rows, cols] : shapes(c)) {
      OpRun run(c);
      Random random(c);
      const Dropout dropout = {.p = 0.25f, .seed = 99, .step = 1, .site = 12};
      const Span dx = run.inout(random.normal(rows * cols), rows, cols);  // holds dy at first
      const CSpan dy2 = run.input(random.normal(rows * cols), rows, cols, {c.dtype, 7});
      const CSpan z = run.input(random.normal(rows * cols, 2, 1), rows, cols);
      const CSpan gamma = run.input(random.normal(cols, 0.1, 1), 1, cols, {DType::f32});
      const auto forward =
          reference::layer_norm<double>(values(z), values(gamma), std::vector<double>(gamma.cols), 1e-3);
      const CSpan mean = run.input(forward.mean, 1, rows, {DType::f32});
      const CSpan rstd = run.input(forward.rstd, 1, rows, {DType::f32});
      const CSpan row_ids = run.input(random.integers(rows, 1 << 24), 1, rows, {DType::i32});
      const Span ddelta = run.output(rows, cols);
      const Span dgamma = run.inout(random.normal(cols), 1, cols, {DType::f32});
      const Span dbeta = run.inout(random.normal(cols), 1, cols, {DType::f32});
      const auto exact =
          reference::layer_norm_backward<double>(sum(values(dx), values(dy2)), values(z), values(mean), values(rstd),
                                                 values(gamma), values(dgamma), values(dbeta));
      const auto naive = reference::layer_norm_backward<float>(
          sum(values_as<float>(dx), values_as<float>(dy2)), values_as<float>(z), values_as<float>(mean),
          values_as<float>(rstd), values_as<float>(gamma), values_as<float>(dgamma), values_as<float>(dbeta));
      run.execute([&](Stream& s) {
        residual_layer_norm_backward(s, {.dx = dx,
                                         .ddelta = ddelta,
                                         .dgamma = dgamma,
                                         .dbeta = dbeta,
                                         .dy = dx,
                                         .dy2 = dy2,
                                         .z = z,
                                         .mean = mean,
                                         .rstd = rstd,
                                         .gamma = gamma,
                                         .dropout = dropout,
                                         .row_ids = row_ids});
      });
      expect_close(dx, exact.dz, naive.dz);
      expect_close(ddelta, reference::dropout(exact.dz, cols, dropout, ids(row_ids)),
                   reference::dropout(naive.dz, cols, dropout, ids(row_ids)));
      expect_close(dgamma, exact.dgamma, naive.dgamma, 1);
      expect_close(dbeta, exact.dbeta, naive.dbeta, 1);
    }
  });
}

TEST(ResidualLayerNorm, BackwardWithoutDropoutOrSecondGradient) {
  for_each_case({.sizes = {33}}, [](const Case& c) {
    OpRun run(c);
    Random random(c);
    const int64_t rows = 40, cols = c.size;
    const CSpan dy = run.input(random.normal(rows * cols), rows, cols);
    const CSpan z = run.input(random.normal(rows * cols), rows, cols);
    const CSpan gamma = run.input(random.normal(cols), 1, cols, {DType::f32});
    const CSpan mean = run.input(random.normal(rows), 1, rows, {DType::f32});
    const CSpan rstd = run.input(random.uniform(rows, 0.5, 2), 1, rows, {DType::f32});
    const Span dx = run.output(rows, cols);
    const Span dgamma = run.inout(random.normal(cols), 1, cols, {DType::f32});
    const Span dbeta = run.inout(random.normal(cols), 1, cols, {DType::f32});
    const auto exact = reference::layer_norm_backward<double>(values(dy), values(z), values(mean), values(rstd),
                                                              values(gamma), values(dgamma), values(dbeta));
    const auto naive = reference::layer_norm_backward<float>(
        values_as<float>(dy), values_as<float>(z), values_as<float>(mean), values_as<float>(rstd),
        values_as<float>(gamma), values_as<float>(dgamma), values_as<float>(dbeta));
    run.execute([&](Stream& s) {
      residual_layer_norm_backward(
          s,
          {.dx = dx, .dgamma = dgamma, .dbeta = dbeta, .dy = dy, .z = z, .mean = mean, .rstd = rstd, .gamma = gamma});
    });
    expect_close(dx, exact.dz, naive.dz);
    expect_close(dgamma, exact.dgamma, naive.dgamma, 1);
    expect_close(dbeta, exact.dbeta, naive.dbeta, 1);
  });
}

TEST(ResidualLayerNorm, ReferenceGradientIsTheDerivative) {
  Random random(1);
  const int64_t rows = 3, cols = 17;
  const auto z = random.normal(rows * cols), gamma = random.normal(cols), beta = random.normal(cols);
  const auto dy = random.normal(rows * cols);
  const auto loss = [&](const std::vector<double>& at_z, const std::vector<double>& at_gamma,
                        const std::vector<double>& at_beta) {
    const auto y = reference::layer_norm<double>(at_z, at_gamma, at_beta, 1e-3).y;
    double total = 0;
    for (size_t i = 0; i < y.size(); ++i) total += y[i] * dy[i];
    return total;
  };
  const auto forward = reference::layer_norm<double>(z, gamma, beta, 1e-3);
  const std::vector<double> zeros(gamma.size());
  const auto gradient = reference::layer_norm_backward<double>(dy, z, forward.mean, forward.rstd, gamma, zeros, zeros);
  expect_gradient(gradient.dz, z, [&](const auto& moved) { return loss(moved, gamma, beta); });
  expect_gradient(gradient.dgamma, gamma, [&](const auto& moved) { return loss(z, moved, beta); });
  expect_gradient(gradient.dbeta, beta, [&](const auto& moved) { return loss(z, gamma, moved); });
}

TEST(ResidualLayerNorm, RefusesWrongShapes) {
  Stream s;
  const Tensor x = Tensor::zeros(DType::f32, 2, 4), gamma = Tensor::zeros(DType::f32, 1, 3);
  EXPECT_THROW(residual_layer_norm_forward(s, {.y = x, .delta = x, .gamma = gamma, .beta = gamma}),
               std::invalid_argument);
}

}  // namespace
}  // namespace aid::test
