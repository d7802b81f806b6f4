#include "kernels/lookup/embedding_layer_norm.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/embedding.h"
#include "tests/reference/residual_layer_norm.h"

namespace aid::test {
namespace {

struct Shape {
  int64_t tokens, cols;
};

// Forward's operands; backward looks the same rows up.
struct Lookup {
  CSpan ids, positions, types, row_ids, gamma, beta;
  EmbeddingTables tables;

  Lookup(OpRun& run, Random& random, const Shape& shape, bool with_types) {
    constexpr int64_t kWords = 11, kPositions = 600, kTypes = 2;
    const auto& [tokens, cols] = shape;
    ids = run.input(random.integers(tokens, kWords), 1, tokens, {DType::i32});
    positions = run.input(random.integers(tokens, kPositions), 1, tokens, {DType::i32});
    row_ids = run.input(random.integers(tokens, 1 << 20), 1, tokens, {DType::i32});
    tables.word = run.input(random.normal(kWords * cols), kWords, cols, {DType::f32});
    tables.position = run.input(random.normal(kPositions * cols), kPositions, cols, {DType::f32});
    gamma = run.input(random.normal(cols, 0.1, 1), 1, cols, {DType::f32});
    beta = run.input(random.normal(cols), 1, cols, {DType::f32});
    if (!with_types) return;
    types = run.input(random.integers(tokens, kTypes), 1, tokens, {DType::i32});
    tables.type = run.input(random.normal(kTypes * cols), kTypes, cols, {DType::f32});
  }

  template <class Real>
  std::vector<Real> sum() const {
    std::vector<Real> z(static_cast<size_t>(ids.cols * gamma.cols));
    reference::add_embedding(z, values_as<Real>(tables.word), values_as<int32_t>(ids));
    reference::add_embedding(z, values_as<Real>(tables.position), values_as<int32_t>(positions));
    if (!types.empty()) reference::add_embedding(z, values_as<Real>(tables.type), values_as<int32_t>(types));
    return z;
  }
};

constexpr Dropout kDropout = {.p = 0.1f, .seed = 5, .step = 2, .site = 0};

std::vector<Shape> shapes(const Case& c) { return {{5, c.size}, {c.size, 33}}; }

TEST(EmbeddingLayerNorm, Forward) {
  for_each_case({}, [](const Case& c) {
    for (const Shape& shape : shapes(c)) {
      for (const bool with_types : {false, true}) {
        OpRun run(c);
        Random random(c);
        const Lookup lookup(run, random, shape, with_types);
        const Span y = run.output(shape.tokens, shape.cols, {c.dtype, 2});
        const Span mean = run.output(1, shape.tokens, {DType::f32}), rstd = run.output(1, shape.tokens, {DType::f32});
        const float eps = 1e-3f;
        run.execute([&](Stream& s) {
          embedding_layer_norm_forward(s, {.y = y,
                                           .mean = mean,
                                           .rstd = rstd,
                                           .ids = lookup.ids,
                                           .positions = lookup.positions,
                                           .types = lookup.types,
                                           .tables = lookup.tables,
                                           .gamma = lookup.gamma,
                                           .beta = lookup.beta,
                                           .eps = eps,
                                           .dropout = kDropout,
                                           .row_ids = lookup.row_ids});
        });
        const auto row_ids = values_as<int32_t>(lookup.row_ids);
        const auto exact =
            reference::layer_norm<double>(lookup.sum<double>(), values(lookup.gamma), values(lookup.beta), eps);
        const auto naive = reference::layer_norm<float>(lookup.sum<float>(), values_as<float>(lookup.gamma),
                                                        values_as<float>(lookup.beta), eps);
        expect_close(y, reference::dropout(exact.y, shape.cols, kDropout, row_ids),
                     reference::dropout(naive.y, shape.cols, kDropout, row_ids));
        expect_close(mean, exact.mean, naive.mean, 1);
        expect_close(rstd, exact.rstd, naive.rstd);
      }
    }
  });
}

TEST(EmbeddingLayerNorm, BackwardAddsToEveryTable) {
  for_each_case({}, [](const Case& c) {
    for (const Shape& shape : shapes(c)) {
      for (const bool with_types : {false, true}) {
        OpRun run(c);
        Random random(c);
        const int64_t tokens = shape.tokens, cols = shape.cols;
        const Lookup lookup(run, random, shape, with_types);
        const EmbeddingTables& tables = lookup.tables;
        constexpr int kPadding = 3;
        const auto forward =
            reference::layer_norm<double>(lookup.sum<double>(), values(lookup.gamma), values(lookup.beta), 1e-3);
        const CSpan mean = run.input(forward.mean, 1, tokens, {DType::f32});
        const CSpan rstd = run.input(forward.rstd, 1, tokens, {DType::f32});
        const CSpan dy = run.input(random.normal(tokens * cols), tokens, cols, {c.dtype, 3});
        const CSpan dy2 = with_types ? run.input(random.normal(tokens * cols), tokens, cols) : CSpan();
        const auto gradient = [&](CSpan table) {
          return table.empty() ? Span() : run.inout(random.normal(table.size()), table.rows, cols, {DType::f32});
        };
        const Span dword = gradient(tables.word), dtype_table = gradient(tables.type);
        const Span dposition = with_types ? gradient(tables.position) : Span();  // else frozen
        const Span dgamma = gradient(lookup.gamma), dbeta = gradient(lookup.beta);

        const auto expected = [&]<class Real>(Real) {
          std::vector<Real> d = values_as<Real>(dy);
          if (!dy2.empty()) {
            const std::vector<Real> second = values_as<Real>(dy2);
            for (size_t i = 0; i < d.size(); ++i) d[i] += second[i];
          }
          d = reference::dropout(d, cols, kDropout, values_as<int32_t>(lookup.row_ids));
          return reference::layer_norm_backward<Real>(d, lookup.sum<Real>(), values_as<Real>(mean),
                                                      values_as<Real>(rstd), values_as<Real>(lookup.gamma),
                                                      values_as<Real>(dgamma), values_as<Real>(dbeta));
        };
        const auto exact = expected(double{});
        const auto naive = expected(float{});
        struct Table {
          Span actual;
          CSpan ids;
          int32_t padding;
          std::vector<double> exact;
          std::vector<float> naive;
        };
        std::vector<Table> expected_tables = {{dword, lookup.ids, kPadding, {}, {}},
                                              {dposition, lookup.positions, -1, {}, {}},
                                              {dtype_table, lookup.types, -1, {}, {}}};
        for (Table& t : expected_tables) {
          if (t.actual.empty()) continue;
          const auto ids = values_as<int32_t>(t.ids);
          t.exact = reference::embedding_backward(values(t.actual), exact.dz, ids, t.padding);
          t.naive = reference::embedding_backward(values_as<float>(t.actual), naive.dz, ids, t.padding);
        }
        run.execute([&](Stream& s) {
          embedding_layer_norm_backward(s, {.dword = dword,
                                            .dposition = dposition,
                                            .dtype_table = dtype_table,
                                            .dgamma = dgamma,
                                            .dbeta = dbeta,
                                            .dy = dy,
                                            .dy2 = dy2,
                                            .mean = mean,
                                            .rstd = rstd,
                                            .ids = lookup.ids,
                                            .positions = lookup.positions,
                                            .types = lookup.types,
                                            .tables = tables,
                                            .gamma = lookup.gamma,
                                            .padding_id = kPadding,
                                            .dropout = kDropout,
                                            .row_ids = lookup.row_ids});
        });
        expect_close(dgamma, exact.dgamma, naive.dgamma, 1);
        expect_close(dbeta, exact.dbeta, naive.dbeta, 1);
        for (const Table& t : expected_tables) {
          if (!t.actual.empty()) expect_close(t.actual, t.exact, t.naive, 1);
        }
      }
    }
  });
}

TEST(EmbeddingLayerNorm, NamesTheTokenThatIsOutOfRange) {
  Stream s;
  Random random(1);
  OpRun run({.target = s.target()});
  Lookup lookup(run, random, {4, 8}, true);
  const CSpan ids = run.input({0, 1, 11, 2}, 1, 4, {DType::i32});
  const Span y = run.output(4, 8);
  try {
    embedding_layer_norm_forward(s, {.y = y,
                                     .ids = ids,
                                     .positions = lookup.positions,
                                     .types = lookup.types,
                                     .tables = lookup.tables,
                                     .gamma = lookup.gamma,
                                     .beta = lookup.beta});
    FAIL() << "expected an exception";
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("token 2 has 11 in ids; the table has rows 0 to 10"), std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace aid::test
