#include "kernels/matrix/sparse_linear.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/sparse_linear.h"

namespace aid::test {
namespace {

constexpr int64_t kLength = 40;  // few enough for documents to share features

// Documents of 0 to 70 items.
std::vector<double> borders(int64_t documents) {
  std::vector<double> first = {0};
  for (int64_t d = 0; d < documents; ++d) first.push_back(first.back() + static_cast<double>((d + 3) * 29 % 71));
  return first;
}

// shared: classes meet in weights, as in thinc's first version of the layer.
void check(const Case& c, int64_t documents, int64_t classes, bool shared) {
  OpRun run(c);
  Random random(c);
  const int64_t class_stride = shared ? 1 : kLength, weights = class_stride * (classes - 1) + kLength;
  const CSpan first = run.input(borders(documents), 1, documents + 1, {DType::i32});
  const int64_t items = values_as<int32_t>(first).back();
  const CSpan index = run.input(random.integers(items, kLength), 1, items, {DType::i32});
  const CSpan value = run.input(random.uniform(items, 0.5, 3), 1, items);
  const CSpan w = run.input(random.normal(weights), 1, weights), bias = run.input(random.normal(classes), 1, classes);
  const CSpan dy = run.input(random.normal(documents * classes), documents, classes, {DType::f32, c.gap()});
  const Span y = run.output(documents, classes, {DType::f32, c.gap()});
  const Span dw = run.inout(random.normal(weights), 1, weights), dbias = run.inout(random.normal(classes), 1, classes);
  const auto expected = [&]<class Real>(Real) {
    reference::SparseLinear<Real> layer = {.w = values_as<Real>(w),
                                           .bias = values_as<Real>(bias),
                                           .values = values_as<Real>(value),
                                           .dy = values_as<Real>(dy),
                                           .index = values_as<int32_t>(index),
                                           .first = values_as<int32_t>(first),
                                           .class_stride = class_stride,
                                           .dw = values_as<Real>(dw),
                                           .dbias = values_as<Real>(dbias)};
    layer.forward();
    layer.backward();
    return layer;
  };
  const auto exact = expected(double{});
  const auto naive = expected(float{});
  run.execute([&](Stream& s) {
    sparse_linear_forward(
        s,
        {.y = y, .w = w, .bias = bias, .index = index, .values = value, .first = first, .class_stride = class_stride});
    sparse_linear_backward(s, {.dw = dw,
                               .dbias = dbias,
                               .dy = dy,
                               .index = index,
                               .values = value,
                               .first = first,
                               .class_stride = class_stride});
  });
  expect_close(y, exact.y, naive.y);
  expect_close(dw, exact.dw, naive.dw);
  expect_close(dbias, exact.dbias, naive.dbias, 1);
}

TEST(SparseLinear, ForwardAndBackward) {
  for_each_case({.dtypes = {DType::f32}, .sizes = {1, 2, 31, 33, 97, 257}}, [](const Case& c) {
    for (const bool shared : {false, true}) {
      check(c, c.size, 3, shared);
      check(c, 4, c.size, shared);
    }
  });
}

TEST(SparseLinear, DocumentsWithoutItemsGiveTheBias) {
  Stream s;
  const float bias[] = {1, 2}, w[] = {3, 4, 5};
  float y[4];
  const int32_t first[] = {0, 0, 0};
  const CSpan index = vector(first, 3).col_slice(0, 0);
  const CSpan values = vector(w, 3).col_slice(0, 0);
  sparse_linear_forward(s, {.y = matrix(y, 2, 2),
                            .w = vector(w, 3),
                            .bias = vector(bias, 2),
                            .index = index,
                            .values = values,
                            .first = vector(first, 3)});
  EXPECT_EQ(std::vector(y, y + 4), (std::vector<float>{1, 2, 1, 2}));
  float dw[] = {1, 1, 1}, dbias[] = {1, 1};
  sparse_linear_backward(s, {.dw = vector(dw, 3),
                             .dbias = vector(dbias, 2),
                             .dy = matrix(y, 2, 2),
                             .index = index,
                             .values = values,
                             .first = vector(first, 3)});
  EXPECT_EQ(std::vector(dw, dw + 3), (std::vector<float>{1, 1, 1}));
  EXPECT_EQ(std::vector(dbias, dbias + 2), (std::vector<float>{3, 5}));
}

TEST(SparseLinear, ReferenceGradientIsTheDerivative) {
  for (const int64_t class_stride : {1, 5}) {
    Random random(1);
    reference::SparseLinear<double> layer = {.w = random.normal(15),
                                             .bias = random.normal(3),
                                             .values = random.normal(7),
                                             .dy = random.normal(2 * 3),
                                             .index = {0, 4, 4, 1, 3, 2, 4},
                                             .first = {0, 4, 7},
                                             .class_stride = class_stride,
                                             .dw = std::vector<double>(15),
                                             .dbias = std::vector<double>(3)};
    layer.backward();
    const auto expect = [&](const std::vector<double>& gradient, auto member) {
      expect_gradient(gradient, layer.*member, [&](const auto& moved) {
        auto copy = layer;
        copy.*member = moved;
        copy.forward();
        double total = 0;
        for (size_t i = 0; i < copy.y.size(); ++i) total += copy.y[i] * copy.dy[i];
        return total;
      });
    };
    expect(layer.dw, &reference::SparseLinear<double>::w);
    expect(layer.dbias, &reference::SparseLinear<double>::bias);
  }
}

TEST(SparseLinear, NamesTheItemThatIsOutOfRange) {
  Stream s;
  const Tensor y = Tensor::zeros(DType::f32, 1, 2), w = Tensor::zeros(DType::f32, 1, 10);
  const Tensor bias = Tensor::zeros(DType::f32, 1, 2), values = Tensor::zeros(DType::f32, 1, 3);
  const int32_t index[] = {0, 5, 1}, first[] = {0, 3};
  try {
    sparse_linear_forward(s, {.y = y,
                              .w = w,
                              .bias = bias,
                              .index = vector(index, 3),
                              .values = values,
                              .first = vector(first, 2),
                              .class_stride = 5});
    FAIL() << "expected an exception";
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("item 1 has index 5; 10 weights have room for 0 to 4"), std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace aid::test
