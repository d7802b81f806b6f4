#include "kernels/rows/parametric_attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/parametric_attention.h"

namespace aid::test {
namespace {

// Segments of 0 to 24 rows, of which there are more than a block's warps.
std::vector<double> borders(int64_t segments) {
  std::vector<double> first = {0};
  for (int64_t t = 0; t < segments; ++t) first.push_back(first.back() + static_cast<double>((t + 1) * 13 % 25));
  return first;
}

// Keys whose products with the query are about 1, and every seventh row's so much larger that many are beyond the clip.
constexpr double kLarger = 30;
std::vector<double> keys_beyond_the_clip(Random& random, int64_t rows, int64_t cols) {
  std::vector<double> result = random.normal(rows * cols);
  for (int64_t i = 0; i < rows * cols; ++i) result[static_cast<size_t>(i)] *= i / cols % 7 == 3 ? kLarger : 1;
  return result;
}

template <class Real>
std::vector<Real> sum(std::vector<Real> a, const std::vector<Real>& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

double largest(const std::vector<double>& values) {
  double result = 0;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

// keys_are_x: as in spaCy's first version of the layer.
void check(const Case& c, int64_t segments, int64_t cols, bool keys_are_x) {
  OpRun run(c);
  Random random(c);
  const CSpan first = run.input(borders(segments), 1, segments + 1, {DType::i32});
  const int64_t rows = values_as<int32_t>(first).back();
  const CSpan x = run.input(random.normal(rows * cols), rows, cols, {DType::f32, c.gap()});
  const CSpan key =
      keys_are_x ? x : run.input(keys_beyond_the_clip(random, rows, cols), rows, cols, {DType::f32, c.gap()});
  const CSpan query = run.input(random.normal(cols, 1 / std::sqrt(static_cast<double>(cols))), 1, cols);
  const CSpan dy = run.input(random.normal(segments * cols), segments, cols, {DType::f32, c.gap()});
  const Span y = run.output(segments, cols, {DType::f32, c.gap()}), weights = run.output(1, rows);
  const Span dx = run.output(rows, cols, {DType::f32, c.gap()}), dquery = run.inout(random.normal(cols), 1, cols);
  const Span dkeys = keys_are_x ? Span() : run.output(rows, cols);
  const auto expected = [&]<class Real>(Real) {
    reference::ParametricAttention<Real> a = {.x = values_as<Real>(x),
                                              .keys = values_as<Real>(key),
                                              .query = values_as<Real>(query),
                                              .dy = values_as<Real>(dy),
                                              .first = values_as<int32_t>(first),
                                              .dquery = values_as<Real>(dquery)};
    a.forward();
    a.backward();
    return a;
  };
  const auto exact = expected(double{});
  const auto naive = expected(float{});
  run.execute([&](Stream& s) {
    parametric_attention_forward(s, {.y = y, .weights = weights, .x = x, .keys = key, .query = query, .first = first});
    parametric_attention_backward(s, {.dx = dx,
                                      .dkeys = dkeys,
                                      .dquery = dquery,
                                      .dy = dy,
                                      .x = x,
                                      .keys = key,
                                      .query = query,
                                      .weights = weights,
                                      .first = first});
  });
  // The larger keys' products have larger rounding errors, which every weight passes on. Gradients of keys come from e
  // less its mean, which is rounding alone where one row has nearly all the weight.
  const auto exact_dx = keys_are_x ? sum(exact.dx, exact.dkeys) : exact.dx;
  const double from_e = largest(exact.e) * largest(exact.query);
  expect_close(y, exact.y, naive.y, kLarger * largest(exact.y));
  expect_close(weights, exact.weights, naive.weights, kLarger);
  expect_close(dx, exact_dx, keys_are_x ? sum(naive.dx, naive.dkeys) : naive.dx,
               kLarger * largest(exact.dx) + (keys_are_x ? from_e : 0));
  if (!keys_are_x) expect_close(dkeys, exact.dkeys, naive.dkeys, from_e);
  expect_close(dquery, exact.dquery, naive.dquery, largest(exact.e) * largest(exact.keys));
}

TEST(ParametricAttention, ForwardAndBackward) {
  for_each_case({.dtypes = {DType::f32}, .sizes = {1, 31, 33, 97, 300, 1025}}, [](const Case& c) {
    for (const bool keys_are_x : {false, true}) {
      check(c, 4, c.size, keys_are_x);
      check(c, std::min<int64_t>(c.size, 97), 36, keys_are_x);
    }
  });
}

TEST(ParametricAttention, ReferenceGradientIsTheDerivative) {
  Random random(1);
  const int64_t cols = 5;
  reference::ParametricAttention<double> a = {.x = random.normal(6 * cols),
                                              .keys = random.normal(6 * cols),
                                              .query = random.normal(cols),
                                              .dy = random.normal(3 * cols),
                                              .first = {0, 2, 2, 6},
                                              .dquery = std::vector<double>(cols)};
  a.forward();
  a.backward();
  const auto loss = [](reference::ParametricAttention<double> moved) {
    moved.forward();
    double total = 0;
    for (size_t i = 0; i < moved.y.size(); ++i) total += moved.y[i] * moved.dy[i];
    return total;
  };
  const auto expect = [&](const std::vector<double>& gradient, auto member) {
    expect_gradient(gradient, a.*member, [&](const auto& moved) {
      auto copy = a;
      copy.*member = moved;
      return loss(copy);
    });
  };
  using Attention = reference::ParametricAttention<double>;
  expect(a.dx, &Attention::x);
  expect(a.dkeys, &Attention::keys);
  expect(a.dquery, &Attention::query);
}

TEST(ParametricAttention, RefusesWrongOperands) {
  Stream s;
  const Tensor x = Tensor::zeros(DType::f32, 3, 4), y = Tensor::zeros(DType::f32, 1, 4);
  const Tensor keys = Tensor::zeros(DType::f32, 3, 4), weights = Tensor::zeros(DType::f32, 1, 3);
  const int32_t first[] = {0, 3};
  const CSpan segments = vector(first, 2);
  EXPECT_THROW(
      parametric_attention_forward(s, {.y = y, .weights = y, .x = x, .keys = x, .query = y, .first = segments}),
      std::invalid_argument);
  EXPECT_THROW(
      parametric_attention_backward(
          s, {.dx = x, .dquery = y, .dy = y, .x = x, .keys = keys, .query = y, .weights = weights, .first = segments}),
      std::invalid_argument);
}

}  // namespace
}  // namespace aid::test
