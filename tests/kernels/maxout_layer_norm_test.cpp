#include "kernels/rows/maxout_layer_norm.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/maxout.h"
#include "tests/reference/residual_layer_norm.h"

namespace aid::test {
namespace {

struct Shape {
  int64_t rows, cols, pieces;
};

// Of every way that a GPU has for a row, with pieces of a number that kernels are made for and of others.
const Cases kCases = {.dtypes = {DType::f32}, .sizes = {1, 31, 96, 257, 300, 1025}};
std::vector<Shape> shapes(const Case& c) {
  return {{5, c.size, 3}, {3, c.size, 2}, {2, c.size, 5}, {2, c.size, 1}, {c.size, 36, 3}};
}

constexpr Dropout kDropout = {.p = 0.2f, .seed = 77, .step = 3, .site = 2};
constexpr float kEps = 1e-8f;

template <class Real>
std::vector<Real> sum(std::vector<Real> a, const std::vector<Real>& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

TEST(MaxoutLayerNorm, ForwardSavesWhatBackwardNeeds) {
  for_each_case(kCases, [](const Case& c) {
    for (const auto& [rows, cols, pieces] : shapes(c)) {
      OpRun run(c);
      Random random(c);
      const Span y = run.inout(random.normal(rows * cols), rows, cols, {DType::f32, c.gap()});  // holds x at first
      const std::vector<double> x = values(y);
      const std::vector<float> naive_x = values_as<float>(y);
      const CSpan z = run.input(random.normal(rows * cols * pieces), rows, cols * pieces, {DType::f32, c.gap()});
      const CSpan gamma = run.input(random.normal(cols, 0.1, 1), 1, cols),
                  beta = run.input(random.normal(cols), 1, cols);
      const CSpan row_ids = run.input(random.integers(rows, 1 << 24), 1, rows, {DType::i32});
      const Span mean = run.output(1, rows), rstd = run.output(1, rows);
      run.execute([&, pieces = pieces](Stream& s) {
        maxout_layer_norm_forward(s, {.y = y,
                                      .mean = mean,
                                      .rstd = rstd,
                                      .x = y,
                                      .z = z,
                                      .gamma = gamma,
                                      .beta = beta,
                                      .pieces = pieces,
                                      .eps = kEps,
                                      .dropout = kDropout,
                                      .row_ids = row_ids});
      });
      if (cols == 1) continue;  // one value: rstd is 1 / sqrt(eps), and y rounding noise of the mean times that
      const auto exact =
          reference::layer_norm<double>(reference::maxout(values(z), pieces).m, values(gamma), values(beta), kEps);
      const auto naive = reference::layer_norm<float>(reference::maxout(values_as<float>(z), pieces).m,
                                                      values_as<float>(gamma), values_as<float>(beta), kEps);
      const auto ids = values_as<int32_t>(row_ids);
      expect_close(y, sum(reference::dropout(exact.y, cols, kDropout, ids), x),
                   sum(reference::dropout(naive.y, cols, kDropout, ids), naive_x));
      expect_close(mean, exact.mean, naive.mean, 1);
      expect_close(rstd, exact.rstd, naive.rstd);
    }
  });
}

TEST(MaxoutLayerNorm, Backward) {
  for_each_case(kCases, [](const Case& c) {
    for (const auto& [rows, cols, pieces] : shapes(c)) {
      OpRun run(c);
      Random random(c);
      const Span dz = run.inout(random.normal(rows * cols * pieces), rows, cols * pieces,
                                {DType::f32, c.gap()});  // holds z at first
      const CSpan dy = run.input(random.normal(rows * cols), rows, cols, {DType::f32, c.gap()});
      const CSpan gamma = run.input(random.normal(cols, 0.1, 1), 1, cols);
      const auto maxout = reference::maxout(values(dz), pieces);
      const auto naive_maxout = reference::maxout(values_as<float>(dz), pieces);
      // As from a row with some deviation: of one value it would be all rounding.
      const auto forward =
          reference::layer_norm<double>(maxout.m, values(gamma), std::vector<double>(gamma.cols), 1e-3);
      const CSpan mean = run.input(forward.mean, 1, rows), rstd = run.input(forward.rstd, 1, rows);
      const CSpan row_ids = run.input(random.integers(rows, 1 << 24), 1, rows, {DType::i32});
      const Span dgamma = run.inout(random.normal(cols), 1, cols), dbeta = run.inout(random.normal(cols), 1, cols);
      const auto ids = values_as<int32_t>(row_ids);
      const auto exact = reference::layer_norm_backward<double>(reference::dropout(values(dy), cols, kDropout, ids),
                                                                maxout.m, values(mean), values(rstd), values(gamma),
                                                                values(dgamma), values(dbeta));
      const auto naive = reference::layer_norm_backward<float>(
          reference::dropout(values_as<float>(dy), cols, kDropout, ids), naive_maxout.m, values_as<float>(mean),
          values_as<float>(rstd), values_as<float>(gamma), values_as<float>(dgamma), values_as<float>(dbeta));
      run.execute([&, pieces = pieces](Stream& s) {
        maxout_layer_norm_backward(s, {.dz = dz,
                                       .dgamma = dgamma,
                                       .dbeta = dbeta,
                                       .dy = dy,
                                       .z = dz,
                                       .mean = mean,
                                       .rstd = rstd,
                                       .gamma = gamma,
                                       .pieces = pieces,
                                       .dropout = kDropout,
                                       .row_ids = row_ids});
      });
      expect_close(dz, reference::maxout_backward(exact.dz, maxout.which, pieces),
                   reference::maxout_backward(naive.dz, maxout.which, pieces));
      expect_close(dgamma, exact.dgamma, naive.dgamma, 1);
      expect_close(dbeta, exact.dbeta, naive.dbeta, 1);
    }
  });
}

// Maxout alone moves values, so results are exact; half of the maxima are there twice.
TEST(MaxoutLayerNorm, WithoutNormalisationTheFirstOfEqualPiecesWins) {
  for_each_case(kCases, [](const Case& c) {
    for (const auto& [rows, cols, pieces] : shapes(c)) {
      OpRun run(c);
      Random random(c);
      const CSpan z = run.input(random.integers(rows * cols * pieces, 3), rows, cols * pieces);
      const CSpan dy = run.input(random.normal(rows * cols), rows, cols);
      const Span y = run.output(rows, cols), dz = run.output(rows, cols * pieces);
      run.execute([&, pieces = pieces](Stream& s) {
        maxout_layer_norm_forward(s, {.y = y, .z = z, .pieces = pieces});
        maxout_layer_norm_backward(s, {.dz = dz, .dy = dy, .z = z, .pieces = pieces});
      });
      const auto maxout = reference::maxout(values(z), pieces);
      expect_equal(y, maxout.m);
      expect_equal(dz, reference::maxout_backward(values(dy), maxout.which, pieces));
    }
  });
}

TEST(MaxoutLayerNorm, ReferenceGradientIsTheDerivative) {
  Random random(1);
  const int64_t cols = 7, pieces = 3;
  const auto z = random.normal(2 * cols * pieces), gamma = random.normal(cols), dy = random.normal(2 * cols);
  const std::vector<double> zeros(gamma.size());
  const auto loss = [&](const std::vector<double>& at_z) {
    const auto y = reference::layer_norm<double>(reference::maxout(at_z, pieces).m, gamma, zeros, 1e-3).y;
    double total = 0;
    for (size_t i = 0; i < y.size(); ++i) total += y[i] * dy[i];
    return total;
  };
  const auto maxout = reference::maxout(z, pieces);
  const auto forward = reference::layer_norm<double>(maxout.m, gamma, zeros, 1e-3);
  const auto dm =
      reference::layer_norm_backward<double>(dy, maxout.m, forward.mean, forward.rstd, gamma, zeros, zeros).dz;
  expect_gradient(reference::maxout_backward(dm, maxout.which, pieces), z, loss);
}

TEST(MaxoutLayerNorm, RefusesWrongShapes) {
  Stream s;
  const Tensor y = Tensor::zeros(DType::f32, 2, 4), z = Tensor::zeros(DType::f32, 2, 12);
  const Tensor gamma = Tensor::zeros(DType::f32, 1, 4), wide = Tensor::zeros(DType::f32, 2, 68);
  EXPECT_THROW(maxout_layer_norm_forward(s, {.y = y, .z = z, .pieces = 2}), std::invalid_argument);
  EXPECT_THROW(maxout_layer_norm_forward(s, {.y = y, .z = wide, .pieces = 17}), std::invalid_argument);
  EXPECT_THROW(maxout_layer_norm_forward(s, {.y = y, .z = z, .gamma = gamma, .pieces = 3}), std::invalid_argument);
  EXPECT_THROW(maxout_layer_norm_backward(s, {.dz = y, .dy = y, .z = z, .pieces = 3}), std::invalid_argument);
}

}  // namespace
}  // namespace aid::test
