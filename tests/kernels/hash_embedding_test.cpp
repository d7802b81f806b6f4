#include "kernels/lookup/hash_embedding.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/hash_embedding.h"

namespace aid::test {
namespace {

struct Shape {
  int64_t tokens, cols, rows;
};

// Tables that are small enough for tokens to share rows, and for a token's four to be fewer.
std::vector<Shape> shapes(const Case& c) { return {{9, c.size, 7}, {c.size, 12, 50}, {c.size, 5, 1}}; }

// 64-bit numbers, half of them with the highest bit set, of which doubles hold every bit; some come again.
std::vector<double> ids(Random& random, int64_t tokens) {
  std::vector<double> words(11);
  for (double& word : words) word = static_cast<double>(static_cast<int64_t>(random.next() & ~uint64_t{0x7ff}));
  std::vector<double> result;
  for (const double word : random.integers(tokens, 11)) result.push_back(words[static_cast<size_t>(word)]);
  return result;
}

std::vector<uint64_t> unsigned_ids(CSpan ids) {
  std::vector<uint64_t> result;
  for (const double id : values(ids)) result.push_back(static_cast<uint64_t>(static_cast<int64_t>(id)));
  return result;
}

// What thinc 8.3.14 answers: NumpyOps().hash(ids, seed).
TEST(HashEmbedding, HashIsThincs) {
  struct Known {
    uint64_t id;
    uint32_t seed;
    std::vector<uint32_t> hash;
  };
  const std::vector<Known> known = {
      {0, 0, {0xcc57c3cb, 0x28df63b7, 0xc4e8fe52, 0xf2557dfc}},
      {0, 8, {0, 0, 0, 0}},
      {1, 8, {0x453bd91c, 0x85fa7376, 0x67d9c5aa, 0x48f7ad31}},
      {0x0123456789abcdef, 8, {0x250bd1f8, 0x71e8f6ba, 0x3791baf4, 0x2add7217}},
      {0xffffffffffffffff, 8, {0x9457286e, 0xb150a455, 0x5e82bca5, 0x89f8f680}},
      {4037656031402748057, 0xfffffff0, {0xab38b4bd, 0x7e70dc60, 0x730999fe, 0x8ba9a53a}},
  };
  for (const auto& [id, seed, hash] : known) {
    const BloomHash actual = bloom_hash(id, seed);
    EXPECT_EQ(std::vector(std::begin(actual.of), std::end(actual.of)), hash) << id << " with seed " << seed;
  }
}

TEST(HashEmbedding, ForwardAndBackward) {
  for_each_case({.dtypes = {DType::f32}, .sizes = {1, 31, 33, 97, 300, 1025}}, [](const Case& c) {
    for (const auto& [tokens, cols, rows] : shapes(c)) {
      for (const bool scaled : {false, true}) {
        OpRun run(c);
        Random random(c);
        constexpr uint32_t kSeed = 9;
        const CSpan id = run.input(ids(random, tokens), 1, tokens, {DType::i64});
        const CSpan table = run.input(random.normal(rows * cols), rows, cols, {DType::f32, c.gap()});
        const CSpan dy = run.input(random.normal(tokens * cols), tokens, cols, {DType::f32, c.gap()});
        const CSpan scale = scaled ? run.input(random.integers(cols, 3), 1, cols) : CSpan();
        const Span y = run.output(tokens, cols, {DType::f32, c.gap()});
        const Span dtable = run.inout(random.normal(rows * cols), rows, cols, {DType::f32, c.gap()});
        const reference::Bloom bloom = {unsigned_ids(id), kSeed, rows, cols};
        const std::vector<double> ones(static_cast<size_t>(cols), 1), exact_scale = scaled ? values(scale) : ones;
        const std::vector<float> naive_scale(exact_scale.begin(), exact_scale.end());
        const auto exact = reference::hash_embedding_backward(bloom, values(dtable), values(dy), exact_scale);
        const auto naive =
            reference::hash_embedding_backward(bloom, values_as<float>(dtable), values_as<float>(dy), naive_scale);
        run.execute([&](Stream& s) {
          hash_embedding_forward(s, {.y = y, .table = table, .ids = id, .seed = kSeed, .scale = scale});
          hash_embedding_backward(s, {.dtable = dtable, .dy = dy, .ids = id, .seed = kSeed, .scale = scale});
        });
        expect_close(y, reference::hash_embedding(bloom, values(table), exact_scale),
                     reference::hash_embedding(bloom, values_as<float>(table), naive_scale));
        expect_close(dtable, exact, naive, 1);
      }
    }
  });
}

TEST(HashEmbedding, ReferenceGradientIsTheDerivative) {
  Random random(1);
  const reference::Bloom bloom = {{3, 1, 4, 1, 5}, 8, 6, 3};
  const auto table = random.normal(6 * 3), dy = random.normal(5 * 3), scale = random.normal(3);
  const std::vector<double> zeros(table.size());
  expect_gradient(reference::hash_embedding_backward(bloom, zeros, dy, scale), table, [&](const auto& moved) {
    const auto y = reference::hash_embedding(bloom, moved, scale);
    double total = 0;
    for (size_t i = 0; i < y.size(); ++i) total += y[i] * dy[i];
    return total;
  });
}

TEST(HashEmbedding, RefusesWrongShapes) {
  Stream s;
  const Tensor y = Tensor::zeros(DType::f32, 2, 4), table = Tensor::zeros(DType::f32, 3, 5);
  const Tensor ids = Tensor::zeros(DType::i64, 1, 2), narrow = Tensor::zeros(DType::i32, 1, 2);
  EXPECT_THROW(hash_embedding_forward(s, {.y = y, .table = table, .ids = ids}), std::invalid_argument);
  EXPECT_THROW(hash_embedding_forward(s, {.y = y, .table = y, .ids = narrow}), std::invalid_argument);
  EXPECT_THROW(hash_embedding_backward(s, {.dtable = table, .dy = y, .ids = ids}), std::invalid_argument);
}

}  // namespace
}  // namespace aid::test
