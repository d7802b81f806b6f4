// oneDNN's instruction set is the process's, not the stream's: ctest runs these tests once for every AID_ISA
// (CMakeLists.txt). The targets of the harness choose how operands are packed.
#include "kernels/matrix/linear.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "kernels/elements/cast.h"
#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/linear.h"

namespace aid::test {
namespace {

using Use = LinearWeights::Use;

std::vector<double> rounded(std::vector<double> values, DType dtype) {
  for (double& value : values) value = round_to(value, dtype);
  return values;
}
std::vector<float> narrow(const std::vector<double>& values) { return {values.begin(), values.end()}; }

// f32 memory for weights and the like, outside the harness.
struct Matrix {
  std::vector<float> data;
  int64_t rows, cols;
  Matrix(const std::vector<double>& values, int64_t rows_, int64_t cols_)
      : data(values.begin(), values.end()), rows(rows_), cols(cols_) {}
  CSpan span() const { return matrix(data.data(), rows, cols); }
};

// The bias as the target adds it to a y of this dtype.
template <class T>
std::vector<T> bias_of(const Case& c, CSpan bias, DType y) {
  std::vector<T> result = values_as<T>(bias);
  if (c.target == Target::cuda && std::is_same_v<T, float>) {
    for (T& value : result) value = static_cast<T>(round_to(static_cast<double>(value), y));
  }
  return result;
}

struct Shape {
  int64_t rows, in, out;
};
// The awkward size as each of the three dimensions.
std::vector<Shape> shapes(int64_t size) { return {{size, 40, 17}, {9, size, 70}, {5, 64, size}}; }

TEST(Linear, Forward) {
  for_each_case({}, [](const Case& c) {
    Random random(c);
    for (const Shape& shape : shapes(c.size)) {
      for (const DType to : {c.dtype, DType::f32}) {
        const double scale = 1 / std::sqrt(static_cast<double>(shape.in));
        const Matrix w(rounded(random.normal(shape.out * shape.in, scale), c.dtype), shape.out, shape.in);
        LinearWeights weights(shape.out, shape.in, c.dtype, Use::inference);
        Stream loader({.target = c.target});
        weights.update(loader, w.span());
        loader.synchronize();  // another stream uses them

        OpRun run(c);
        const CSpan x = run.input(random.normal(shape.rows * shape.in), shape.rows, shape.in, {c.dtype, 3});
        const CSpan bias = run.input(random.normal(shape.out), 1, shape.out, {DType::f32});
        const Span y = run.output(shape.rows, shape.out, {to});
        run.execute([&](Stream& s) { linear_forward(s, {.y = y, .x = x, .weights = weights, .bias = bias}); });
        const auto expected = [&]<class T>(T) {
          return reference::linear<T>(values_as<T>(x), values_as<T>(w.span()), bias_of<T>(c, bias, to), shape.rows,
                                      shape.in, shape.out);
        };
        expect_close(y, expected(double{}), expected(float{}));
      }
    }
  });
}

TEST(Linear, ForwardActivations) {
  for_each_case({.sizes = {33, 257}}, [](const Case& c) {
    constexpr int64_t kIn = 24, kOut = 67;
    Random random(c);
    const Matrix w(rounded(random.normal(kOut * kIn, 0.6), c.dtype), kOut, kIn);
    LinearWeights weights(kOut, kIn, c.dtype, Use::inference);
    Stream loader({.target = c.target});
    weights.update(loader, w.span());
    loader.synchronize();  // another stream uses them
    for (const Activation activation :
         {Activation::gelu_erf, Activation::gelu_tanh, Activation::relu, Activation::tanh, Activation::logistic}) {
      OpRun run(c);
      const CSpan x = run.input(random.normal(c.size * kIn), c.size, kIn);
      const CSpan bias = run.input(random.normal(kOut), 1, kOut, {DType::f32});
      const Span y = run.output(c.size, kOut);
      run.execute([&](Stream& s) {
        linear_forward(s, {.y = y, .x = x, .weights = weights, .bias = bias, .activation = activation});
      });
      const auto expected = [&]<class T>(T) {
        return reference::linear<T>(values_as<T>(x), values_as<T>(w.span()), bias_of<T>(c, bias, c.dtype), c.size, kIn,
                                    kOut, activation);
      };
      expect_close(y, expected(double{}), expected(float{}));
    }
  });
}

TEST(Linear, BackwardInput) {
  for_each_case({}, [](const Case& c) {
    Random random(c);
    for (const Shape& shape : shapes(c.size)) {
      const double scale = 1 / std::sqrt(static_cast<double>(shape.out));
      const Matrix w(rounded(random.normal(shape.out * shape.in, scale), c.dtype), shape.out, shape.in);
      LinearWeights weights(shape.out, shape.in, c.dtype, Use::training);
      Stream loader({.target = c.target});
      weights.update(loader, w.span());
      loader.synchronize();  // another stream uses them

      OpRun run(c);
      const CSpan dy = run.input(random.normal(shape.rows * shape.out), shape.rows, shape.out, {c.dtype, 5});
      const Span dx = run.output(shape.rows, shape.in, {c.dtype, 2});
      run.execute([&](Stream& s) { linear_backward_input(s, {.dx = dx, .dy = dy, .weights = weights}); });
      const auto expected = [&]<class T>(T) {
        return reference::linear_backward_input<T>(values_as<T>(dy), values_as<T>(w.span()), shape.rows, shape.in,
                                                   shape.out);
      };
      expect_close(dx, expected(double{}), expected(float{}));
    }
  });
}

TEST(Linear, BackwardWeight) {
  for_each_case({}, [](const Case& c) {
    Random random(c);
    for (const Shape& shape : shapes(c.size)) {
      for (const int64_t gap : {0, 3}) {
        OpRun run(c);
        const CSpan x = run.input(random.normal(shape.rows * shape.in), shape.rows, shape.in, {c.dtype, gap});
        const CSpan dy = run.input(random.normal(shape.rows * shape.out), shape.rows, shape.out, {c.dtype, gap});
        const std::vector<double> dw0 = rounded(random.normal(shape.out * shape.in), DType::f32),
                                  db0 = rounded(random.normal(shape.out), DType::f32);
        const Span dw = run.inout(dw0, shape.out, shape.in, {DType::f32, gap});
        const Span dbias = run.inout(db0, 1, shape.out, {DType::f32});
        run.execute([&](Stream& s) { linear_backward_weight(s, {.dw = dw, .dbias = dbias, .dy = dy, .x = x}); });
        std::vector<double> dw_exact = dw0, db_exact = db0;
        reference::linear_backward_weight<double>(dw_exact, db_exact, values(dy), values(x), shape.rows, shape.in,
                                                  shape.out);
        std::vector<float> dw_naive = narrow(dw0), db_naive = narrow(db0);
        reference::linear_backward_weight<float>(dw_naive, db_naive, values_as<float>(dy), values_as<float>(x),
                                                 shape.rows, shape.in, shape.out);
        expect_close(dw, dw_exact, dw_naive);
        expect_close(dbias, db_exact, db_naive);
      }
    }
  });
}

// Every x_i y_j, as a product of matrices whose sums have one term: forward, as the gradient of the input, of the
// weights. Of f32.
std::vector<std::vector<float>> outer_products(Stream& s, const std::vector<float>& x, const std::vector<float>& y) {
  const auto rows = static_cast<int64_t>(x.size()), cols = static_cast<int64_t>(y.size());
  const CSpan x_column = matrix(x.data(), rows, 1), x_row = matrix(x.data(), 1, rows),
              y_column = matrix(y.data(), cols, 1), y_row = matrix(y.data(), 1, cols);
  std::vector<std::vector<float>> results;
  const auto result = [&] {
    results.emplace_back(static_cast<size_t>(rows * cols), 0.0f);
    return matrix(results.back().data(), rows, cols);
  };
  LinearWeights forward(cols, 1, DType::f32, Use::inference), backward(1, cols, DType::f32, Use::training);
  forward.update(s, y_column);
  backward.update(s, y_row);
  linear_forward(s, {.y = result(), .x = x_column, .weights = forward});
  linear_backward_input(s, {.dx = result(), .dy = x_column, .weights = backward});
  linear_backward_weight(s, {.dw = result(), .dy = x_row, .x = y_row});
  return results;
}

// AMX multiplies bf16 only: a float's product is a sum of six (kernels/cpu/bf16_parts.h). What they leave out is at
// most (2^-24 + 2^-34) |x y|; the sum of the five small ones is below 2^-6 |x y|, so that rounding it four times is
// less than 2^-28 |x y|; the last addition rounds to half an ulp, 2^-24 |x y|. One product more, or less, is 2^-17.
TEST(Linear, F32ProductsHaveAllBits) {
  if (targets() == std::vector{Target::cuda}) GTEST_SKIP() << "of the CPU alone";
  constexpr double kBound = 2.1 * 0x1p-24;
  Random random(5);
  const auto draw = [&](int64_t n) {
    std::vector<double> values;
    for (int64_t i = 0; i < n; ++i) {
      const double magnitude = std::exp2(std::floor(random.uniform() * 80) - 40),
                   sign = random.uniform() < 0.5 ? -1 : 1;
      values.push_back(sign * magnitude * (1 + std::floor(random.uniform() * 0x1p23) * 0x1p-23));
    }
    // Halves of the last bit of high and of mid: the largest parts that there are to leave out.
    for (const double value : {1 + 0x1p-8, 1 + 0x1p-8 - 0x1p-17, 1 + 0x1p-9 + 0x1p-18, 1 - 0x1p-24})
      values.push_back(value);
    return rounded(values, DType::f32);
  };
  const std::vector<double> x = draw(301), y = draw(203);
  Stream s;
  for (const std::vector<float>& products : outer_products(s, narrow(x), narrow(y))) {
    double worst = 0;
    for (size_t i = 0; i < products.size(); ++i) {
      const double exact = x[i / y.size()] * y[i % y.size()];
      worst = std::max(worst, std::abs(products[i] - exact) / std::abs(exact));
    }
    EXPECT_LE(worst, kBound);
  }
}

// linear_amx.h says what may differ from IEEE arithmetic at the ends of the range, here for every target.
TEST(Linear, F32EndsOfTheRange) {
  if (targets() == std::vector{Target::cuda}) GTEST_SKIP() << "of the CPU alone";
  using Limits = std::numeric_limits<float>;
  constexpr float kInfinity = Limits::infinity(), kMost = Limits::max(), kLeast = Limits::min();
  constexpr float kLastBf16 = 0x1.fep127f;
  std::vector<float> ends = {0,
                             -0.0f,
                             1,
                             -1.5f,
                             3.1415927f,
                             -1e-3f,
                             1.2345678e10f,
                             kLeast,
                             -1.2345678f * kLeast,
                             0x1.234566p-105f,
                             kInfinity,
                             -kInfinity,
                             kMost,
                             -kMost,
                             kLastBf16,
                             kMost / 2};
  ends.push_back(std::nextafter(0x1.ffp127f, 0.0f));  // the last that rounding to bf16 leaves finite, and the next
  ends.push_back(0x1.ffp127f);
  for (const uint32_t bits : {0x7fc00000u, 0x7f800001u, 0xffffffffu})
    ends.push_back(std::bit_cast<float>(bits));  // NaN
  Stream s;
  for (const std::vector<float>& products : outer_products(s, ends, ends)) {
    for (size_t i = 0; i < products.size(); ++i) {
      const float x = ends[i / ends.size()], y = ends[i % ends.size()], expected = x * y;
      const double exact = static_cast<double>(x) * static_cast<double>(y);
      const std::string what = std::to_string(x) + " times " + std::to_string(y);
      if (std::isfinite(exact) && std::abs(exact) > 0x1p136) {
        EXPECT_FALSE(std::isfinite(products[i])) << what;
      } else if (!std::isfinite(expected)) {
        EXPECT_EQ(std::isnan(products[i]), std::isnan(expected)) << what;
        if (std::isinf(expected)) {
          EXPECT_EQ(products[i], expected) << what;
        }
      } else {
        const double lost = 4 * static_cast<double>(kLeast) * (1 + std::abs(x) + std::abs(y));
        EXPECT_NEAR(products[i], exact, 2.1 * 0x1p-24 * std::abs(exact) + lost) << what;
      }
    }
  }
}

// Terms of all sizes, and sums that are far smaller than their terms: no worse than a plain sum in f32.
TEST(Linear, F32SumsOfAnyKind) {
  for_each_case({.dtypes = {DType::f32}, .sizes = {67, 1025}}, [](const Case& c) {
    constexpr int64_t kRows = 33, kOut = 40;
    Random random(c);
    const auto of_all_sizes = [&](int64_t n) {
      std::vector<double> values = random.normal(n);
      for (double& value : values) value *= std::exp2(std::floor(random.uniform() * 40) - 20);
      return rounded(values, DType::f32);
    };
    for (const bool cancel : {false, true}) {
      std::vector<double> x_values = of_all_sizes(kRows * c.size), w_values = of_all_sizes(kOut * c.size);
      for (int64_t k = 1; cancel && k < c.size; k += 2) {
        for (int64_t r = 0; r < kRows; ++r) x_values[r * c.size + k] = -x_values[r * c.size + k - 1];
        for (int64_t o = 0; o < kOut; ++o) {
          w_values[o * c.size + k] = round_to(w_values[o * c.size + k - 1] * (1 + 1e-6 * random.uniform()), DType::f32);
        }
      }
      const Matrix w(w_values, kOut, c.size);
      LinearWeights weights(kOut, c.size, DType::f32, Use::inference);
      Stream loader({.target = c.target});
      weights.update(loader, w.span());
      loader.synchronize();  // another stream uses them
      OpRun run(c);
      const CSpan x = run.input(x_values, kRows, c.size);
      const Span y = run.output(kRows, kOut);
      run.execute([&](Stream& s) { linear_forward(s, {.y = y, .x = x, .weights = weights}); });
      const auto expected = [&]<class T>(T) {
        return reference::linear<T>(values_as<T>(x), values_as<T>(w.span()), {}, kRows, c.size, kOut);
      };
      expect_close(y, expected(double{}), expected(float{}));
    }
  });
}

TEST(Linear, ReferenceGradients) {
  constexpr int64_t kRows = 5, kIn = 6, kOut = 4;
  Random random(7);
  const std::vector<double> x = random.normal(kRows * kIn), w = random.normal(kOut * kIn), b = random.normal(kOut),
                            dy = random.normal(kRows * kOut);
  const auto loss = [&](const auto& x_, const auto& w_, const auto& b_) {
    const std::vector<double> y = reference::linear<double>(x_, w_, b_, kRows, kIn, kOut);
    return std::inner_product(y.begin(), y.end(), dy.begin(), 0.0);
  };
  std::vector<double> dw(w.size(), 0), db(b.size(), 0);
  reference::linear_backward_weight<double>(dw, db, dy, x, kRows, kIn, kOut);
  expect_gradient(reference::linear_backward_input<double>(dy, w, kRows, kIn, kOut), x,
                  [&](const std::vector<double>& v) { return loss(v, w, b); });
  expect_gradient(dw, w, [&](const std::vector<double>& v) { return loss(x, v, b); });
  expect_gradient(db, b, [&](const std::vector<double>& v) { return loss(x, w, v); });
}

// What makes a document's verdict independent of the documents beside it. A GPU's library promises no such thing
// (linear.h).
TEST(Linear, RowsDoNotDependOnTheirNeighbours) {
  if (targets() == std::vector{Target::cuda}) GTEST_SKIP() << "of the CPU alone";
  constexpr int64_t kMost = 4096;
  struct Size {
    int64_t in, out;
  };
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const Size size : {Size{768, 768}, Size{768, 2304}, Size{3072, 768}, Size{384, 1536}, Size{100, 77},
                            Size{1030, 3}, Size{768, 12}}) {
      Random random(static_cast<uint64_t>(size.in));
      const Matrix w(random.normal(size.out * size.in, 0.05), size.out, size.in);
      Stream s;
      LinearWeights weights(size.out, size.in, dtype, Use::inference);
      LinearWeights for_backward(size.out, size.in, dtype, Use::training);
      weights.update(s, w.span());
      for_backward.update(s, w.span());
      const Tensor x(dtype, kMost, size.in), dy(dtype, kMost, size.out), bias = Tensor::zeros(DType::f32, 1, size.out);
      const auto fill = [&](const Tensor& t) {
        for (int64_t i = 0; i < t.span().size(); ++i) {
          const float value = static_cast<float>(random.uniform() * 2 - 1);
          dtype == DType::bf16 ? void(t.span().as<bf16>()[i] = bf16(value)) : void(t.span().as<float>()[i] = value);
        }
      };
      fill(x);
      fill(dy);
      const Tensor y(dtype, kMost, size.out), z(DType::f32, kMost, size.out), dx(dtype, kMost, size.in);
      const auto run = [&](Stream& stream, int64_t begin, int64_t rows, Span y_, Span z_, Span dx_) {
        linear_forward(stream, {.y = y_,
                                .x = x.span().row_slice(begin, begin + rows),
                                .weights = weights,
                                .bias = bias,
                                .activation = Activation::gelu_erf});
        linear_forward(stream, {.y = z_, .x = x.span().row_slice(begin, begin + rows), .weights = weights});
        linear_backward_input(stream,
                              {.dx = dx_, .dy = dy.span().row_slice(begin, begin + rows), .weights = for_backward});
      };
      run(s, 0, kMost, y, z, dx);
      for (const int threads : {1, 2, 3}) {
        Stream other({.threads = threads});
        for (const int64_t rows :
             {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 128, 130, 257, 512, 1000}) {
          const int64_t begin = static_cast<int64_t>(random.next() % static_cast<uint64_t>(kMost - rows));
          const Tensor y_(dtype, rows, size.out), z_(DType::f32, rows, size.out), dx_(dtype, rows, size.in);
          run(other, begin, rows, y_, z_, dx_);
          const auto expect_same = [&](const Tensor& part, const Tensor& whole, const char* what) {
            const Span expected = whole.span().row_slice(begin, begin + rows);
            EXPECT_EQ(std::memcmp(part.span().data, expected.data, static_cast<size_t>(expected.bytes())), 0)
                << what << " of " << rows << " rows, " << name_of(dtype) << " " << size.in << " -> " << size.out << ", "
                << threads << " threads, differs from that of " << kMost << " rows";
          };
          expect_same(y_, y, "gelu(x W + b)");
          expect_same(z_, z, "x W");
          expect_same(dx_, dx, "dx");
        }
      }
    }
  }
}

// Values in the memory of a stream's device, in a dtype.
Tensor on_device(Stream& s, const Matrix& values, DType dtype) {
  Tensor tensor(dtype, values.rows, values.cols, s.device());
  const Scratch scratch(s);
  cast(s, {.y = tensor, .x = s.upload(values.span())});
  return tensor;
}
std::vector<float> on_the_host(Stream& s, CSpan f32) {
  std::vector<float> result(static_cast<size_t>(f32.size()));
  s.download(matrix(result.data(), f32.rows, f32.cols), f32);
  s.synchronize();
  return result;
}

TEST(Linear, StackedWeightsAreOneMatrix) {
  for_each_case({.sizes = {24, 25}}, [](const Case& c) {
    const int64_t in = 48 + c.offset, first = 40, second = c.size, rows = 10;
    Random random(3);
    Stream s({.target = c.target});
    const Tensor w = on_device(s, {random.normal((first + second) * in), first + second, in}, DType::f32);
    const Tensor x = on_device(s, {random.normal(rows * in), rows, in}, c.dtype);
    const Tensor dy = on_device(s, {random.normal(rows * (first + second)), rows, first + second}, c.dtype);
    // The second part stands elsewhere: the two are one matrix in the weights alone.
    const Tensor part(DType::f32, second, in, s.device());
    cast(s, {.y = part, .x = w.span().row_slice(first, first + second)});
    const CSpan parts[] = {w.span().row_slice(0, first), part};
    LinearWeights whole(first + second, in, c.dtype, Use::training),
        stacked(first + second, in, c.dtype, Use::training);
    whole.update(s, w.span());
    stacked.update(s, parts);
    std::vector<std::vector<float>> y, dx;
    for (const LinearWeights* weights : {&whole, &stacked}) {
      const Tensor y_(DType::f32, rows, first + second, s.device()), dx_(c.dtype, rows, in, s.device()),
          wide(DType::f32, rows, in, s.device());
      linear_forward(s, {.y = y_, .x = x, .weights = *weights});
      linear_backward_input(s, {.dx = dx_, .dy = dy, .weights = *weights});
      cast(s, {.y = wide, .x = dx_});
      y.push_back(on_the_host(s, y_));
      dx.push_back(on_the_host(s, wide));
    }
    EXPECT_EQ(y[0], y[1]);
    EXPECT_EQ(dx[0], dx[1]);
    EXPECT_NE(y[0], std::vector<float>(y[0].size()));
    EXPECT_NE(dx[0], std::vector<float>(dx[0].size()));
  });
}

TEST(Linear, TrainingComputesAsInferenceDoes) {
  for_each_case({.sizes = {70}}, [](const Case& c) {
    const int64_t in = c.size + c.offset, out = 130, rows = 9;
    Random random(4);
    Stream s({.target = c.target});
    const Tensor x = on_device(s, {random.normal(rows * in), rows, in}, c.dtype);
    LinearWeights training(out, in, c.dtype, Use::training), inference(out, in, c.dtype, Use::inference);
    std::vector<std::vector<float>> y;
    for (int step = 0; step < 2; ++step) {
      const Tensor w = on_device(s, {random.normal(out * in), out, in}, DType::f32);
      for (LinearWeights* weights : {&training, &inference}) {
        weights->update(s, w.span());
        const Tensor y_(DType::f32, rows, out, s.device());
        linear_forward(s, {.y = y_, .x = x, .weights = *weights});
        y.push_back(on_the_host(s, y_));
      }
    }
    EXPECT_EQ(y[0], y[1]);
    EXPECT_EQ(y[2], y[3]);
    EXPECT_NE(y[0], y[2]);
  });
}

TEST(Linear, F16NeedsAGpu) {
  Stream s({.target = default_target()});
  const Tensor w = Tensor::zeros(DType::f32, 8, 4);
  LinearWeights weights(8, 4, DType::f16, Use::inference);
  EXPECT_THROW(weights.update(s, w), std::invalid_argument);
}

TEST(Linear, RefusesWrongShapes) {
  Stream s;
  LinearWeights weights(8, 4, DType::f32, Use::inference);
  const Tensor x = Tensor::zeros(DType::f32, 3, 4), y(DType::f32, 3, 8), narrow_x = Tensor::zeros(DType::f32, 3, 5);
  EXPECT_THROW(weights.update(s, x), std::invalid_argument);
  EXPECT_THROW(linear_forward(s, {.y = y, .x = narrow_x, .weights = weights}), std::invalid_argument);
  EXPECT_THROW(linear_forward(s, {.y = y, .x = Tensor::zeros(DType::bf16, 3, 4), .weights = weights}),
               std::invalid_argument);
  EXPECT_THROW(linear_forward(s, {.y = x, .x = x, .weights = weights}), std::invalid_argument);
  EXPECT_THROW(linear_backward_input(s, {.dx = x, .dy = y, .weights = weights}), std::invalid_argument);
  const LinearWeights no_values(8, 4, DType::f32, Use::training);
  EXPECT_THROW(linear_forward(s, {.y = y, .x = x, .weights = no_values}), std::invalid_argument);
  EXPECT_THROW(linear_backward_weight(s, {.dw = x, .dy = y, .x = x}), std::invalid_argument);
}

}  // namespace
}  // namespace aid::test
