#include "kernels/matrix/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/attention.h"

namespace aid::test {
namespace {

template <class T>
using Reference = reference::Attention<T>;

// What an attention is asked for; lengths by sequence.
struct Problem {
  std::vector<int64_t> q, k;
  int64_t heads = 1, head_dim = 1;
  float dropout = 0;
  double first_column = 0;  // added to the first column of every head of q, its magnitude to that of k
};

std::vector<int64_t> cumulative(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> first(lengths.size() + 1, 0);
  std::partial_sum(lengths.begin(), lengths.end(), first.begin() + 1);
  return first;
}

template <class To, class From>
std::vector<To> converted(const std::vector<From>& from) {
  return std::vector<To>(from.begin(), from.end());
}

// The operands, rounded to the case's type.
Reference<double> operands(const Case& c, const Problem& problem) {
  Reference<double> r = {.cu_q = cumulative(problem.q),
                         .cu_k = cumulative(problem.k),
                         .heads = problem.heads,
                         .head_dim = problem.head_dim,
                         .scale = 1 / std::sqrt(static_cast<float>(problem.head_dim)),
                         .dropout = {.p = problem.dropout, .seed = 7, .step = 3, .site = 11}};
  Random random(c);
  const int64_t cols = problem.heads * problem.head_dim, queries = r.cu_q.back(), keys = r.cu_k.back();
  const auto rounded = [&](std::vector<double> x) {
    for (double& value : x) value = round_to(value, c.dtype);
    return x;
  };
  const auto shifted = [&](std::vector<double> x, double first_column) {
    for (size_t i = 0; i < x.size(); i += static_cast<size_t>(problem.head_dim)) x[i] += first_column;
    return rounded(x);
  };
  r.q = shifted(random.normal(queries * cols), problem.first_column);
  r.k = shifted(random.normal(keys * cols), std::abs(problem.first_column));
  r.v = rounded(random.normal(keys * cols));
  r.dout = rounded(random.normal(queries * cols));
  r.row_ids = converted<int64_t>(random.integers(queries, 1 << 30));
  return r;
}

// The same in single precision. P and dS are rounded as operands where the target multiplies 16-bit elements.
Reference<float> naive_of(const Case& c, const Reference<double>& r) {
  Reference<float> naive = {.q = converted<float>(r.q),
                            .k = converted<float>(r.k),
                            .v = converted<float>(r.v),
                            .dout = converted<float>(r.dout),
                            .cu_q = r.cu_q,
                            .cu_k = r.cu_k,
                            .heads = r.heads,
                            .head_dim = r.head_dim,
                            .scale = static_cast<float>(r.scale),
                            .dropout = r.dropout,
                            .row_ids = r.row_ids};
  if (c.target >= Target::cpu_avx512_bf16 && c.dtype != DType::f32) {
    naive.operand = [dtype = c.dtype](float x) { return static_cast<float>(round_to(x, dtype)); };
  }
  return naive;
}

CSpan integers(OpRun& run, const std::vector<int64_t>& values) {
  return run.input(converted<double>(values), 1, static_cast<int64_t>(values.size()), {DType::i32});
}

struct Forward {
  std::vector<double> out, lse;
};

// All rows have a gap behind them, as column slices of a wider matrix have.
Forward run_forward(const Case& c, const Reference<double>& r) {
  const int64_t cols = r.heads * r.head_dim, queries = r.cu_q.back(), keys = r.cu_k.back();
  OpRun run(c);
  const Span out = run.output(queries, cols, {c.dtype, 3});
  const Span lse = run.output(queries, r.heads, {DType::f32, 1});
  const AttentionForward a = {.out = out,
                              .lse = lse,
                              .q = run.input(r.q, queries, cols, {c.dtype, 5}),
                              .k = run.input(r.k, keys, cols, {c.dtype, 2}),
                              .v = run.input(r.v, keys, cols, {c.dtype, 7}),
                              .cu_q = integers(run, r.cu_q),
                              .cu_k = integers(run, r.cu_k),
                              .heads = static_cast<int>(r.heads),
                              .scale = static_cast<float>(r.scale),
                              .dropout = r.dropout,
                              .row_ids = integers(run, r.row_ids)};
  run.execute([&](Stream& s) { attention_forward(s, a); });

  Reference<double> wanted = r;
  Reference<float> naive = naive_of(c, r);
  wanted.forward();
  naive.forward();
  {
    SCOPED_TRACE("out");
    expect_close(out, wanted.out, naive.out);
  }
  {
    SCOPED_TRACE("lse");
    expect_close(lse, wanted.lse, naive.lse);
  }
  return {values(out), values(lse)};
}

// With forward's own results, as training has them.
void run_backward(const Case& c, const Reference<double>& r, const Forward& forward) {
  const int64_t cols = r.heads * r.head_dim, queries = r.cu_q.back(), keys = r.cu_k.back();
  OpRun run(c);
  const Span dq = run.output(queries, cols, {c.dtype, 3}), dk = run.output(keys, cols, {c.dtype, 1});
  const Span dv = run.output(keys, cols, {c.dtype, 2});
  const AttentionBackward a = {.dq = dq,
                               .dk = dk,
                               .dv = dv,
                               .dout = run.input(r.dout, queries, cols, {c.dtype, 1}),
                               .out = run.input(forward.out, queries, cols, {c.dtype, 3}),
                               .lse = run.input(forward.lse, queries, r.heads, {DType::f32, 1}),
                               .q = run.input(r.q, queries, cols, {c.dtype, 5}),
                               .k = run.input(r.k, keys, cols, {c.dtype, 2}),
                               .v = run.input(r.v, keys, cols, {c.dtype, 7}),
                               .cu_q = integers(run, r.cu_q),
                               .cu_k = integers(run, r.cu_k),
                               .heads = static_cast<int>(r.heads),
                               .scale = static_cast<float>(r.scale),
                               .dropout = r.dropout,
                               .row_ids = integers(run, r.row_ids)};
  run.execute([&](Stream& s) { attention_backward(s, a); });

  Reference<double> wanted = r;
  Reference<float> naive = naive_of(c, r);
  wanted.forward();
  wanted.backward();
  naive.forward();
  for (float& x : naive.out) x = static_cast<float>(round_to(x, c.dtype));  // what forward saves
  naive.backward();
  const auto expect = [](const char* name, CSpan actual, const std::vector<double>& w, const std::vector<float>& n) {
    SCOPED_TRACE(name);
    expect_close(actual, w, n);
  };
  expect("dq", dq, wanted.dq, naive.dq);
  expect("dk", dk, wanted.dk, naive.dk);
  expect("dv", dv, wanted.dv, naive.dv);
}

void check(const Case& c, const Problem& problem) {
  const Reference<double> r = operands(c, problem);
  run_backward(c, r, run_forward(c, r));
}

// More queries than a block, more keys than a block (1025: forward's too), one query for many keys, none at all.
TEST(Attention, AnyLength) {
  for_each_case({}, [](const Case& c) {
    const int64_t n = c.size;
    check(c, {.q = {std::min<int64_t>(n, 97), 1, 0, 2}, .k = {n, n, 3, 2}, .heads = 2, .head_dim = 16});
  });
}

TEST(Attention, AnyHeadDim) {
  for_each_case({.sizes = {1, 5, 16, 31, 32, 64, 97, 128, 255, 256}}, [](const Case& c) {
    check(c, {.q = {35, 1}, .k = {35, 67}, .heads = 3, .head_dim = c.size});
  });
}

// Past element 128 the mask comes from other Philox blocks.
TEST(Attention, Dropout) {
  for_each_case({.sizes = {1, 33, 257, 600}}, [](const Case& c) {
    check(c, {.q = {5, 34}, .k = {c.size, 34}, .heads = 3, .head_dim = 32, .dropout = 0.25f});
  });
}

// Scores around 112 and -112: exp of any of them alone would overflow or vanish, and so would its inverse.
TEST(Attention, LargeScores) {
  for_each_case({.sizes = {33, 601}}, [](const Case& c) {
    for (const double first_column : {30.0, -30.0}) {
      check(c, {.q = {97}, .k = {c.size}, .heads = 2, .head_dim = 64, .first_column = first_column});
    }
  });
}

TEST(Attention, ReferenceGradient) {
  Reference<double> r =
      operands({.dtype = DType::f32}, {.q = {3, 2}, .k = {5, 2}, .heads = 2, .head_dim = 3, .dropout = 0.25f});
  r.forward();
  r.backward();
  const auto gradient = [&](std::vector<double> Reference<double>::*operand, const std::vector<double>& of_it) {
    expect_gradient(of_it, r.*operand, [&](const std::vector<double>& x) {
      Reference<double> moved = r;
      moved.*operand = x;
      moved.forward();
      return std::inner_product(moved.out.begin(), moved.out.end(), moved.dout.begin(), 0.0);
    });
  };
  gradient(&Reference<double>::q, r.dq);
  gradient(&Reference<double>::k, r.dk);
  gradient(&Reference<double>::v, r.dv);
}

// Forward's and backward's results of one sequence.
struct Results {
  std::vector<double> out, lse, dq, dk, dv;
};

// Several sequences in one batch, with random values that depend on each one's seed only; a seed of 0 gives NaN
// everywhere. Returns the results of sequence `wanted`. q, k and v are columns of one matrix.
struct Sequence {
  int64_t length;
  uint64_t seed;
};
Results results_of(const Case& c, const std::vector<Sequence>& sequences, size_t wanted) {
  constexpr int64_t kHeads = 2, kHeadDim = 64, kCols = kHeads * kHeadDim;
  std::vector<int64_t> lengths, row_ids;
  for (const Sequence& sequence : sequences) {
    lengths.push_back(sequence.length);
    for (int64_t i = 0; i < sequence.length; ++i) row_ids.push_back(static_cast<int64_t>(sequence.seed) * 1000 + i);
  }
  const std::vector<int64_t> first = cumulative(lengths);
  const int64_t tokens = first.back();
  OpRun run(c);
  const auto random_rows = [&](int64_t cols) {
    std::vector<double> all;
    for (const Sequence& sequence : sequences) {
      std::vector<double> values = Random(sequence.seed).normal(sequence.length * cols);
      if (sequence.seed == 0) values.assign(values.size(), std::nan(""));
      all.insert(all.end(), values.begin(), values.end());
    }
    return run.input(all, tokens, cols);
  };
  const CSpan qkv = random_rows(3 * kCols), dout = random_rows(kCols);
  const CSpan q = qkv.col_slice(0, kCols), k = qkv.col_slice(kCols, 2 * kCols), v = qkv.col_slice(2 * kCols, 3 * kCols);
  const CSpan cu = integers(run, first), ids = integers(run, row_ids);
  const Span out = run.output(tokens, kCols), lse = run.output(tokens, kHeads, {DType::f32});
  const Span dq = run.output(tokens, kCols), dk = run.output(tokens, kCols), dv = run.output(tokens, kCols);
  const Dropout dropout = {.p = 0.1f, .seed = 1, .step = 2, .site = 3};
  run.execute([&](Stream& s) {
    attention_forward(s, {.out = out,
                          .lse = lse,
                          .q = q,
                          .k = k,
                          .v = v,
                          .cu_q = cu,
                          .cu_k = cu,
                          .heads = kHeads,
                          .scale = 0.125f,
                          .dropout = dropout,
                          .row_ids = ids});
    attention_backward(s, {.dq = dq,
                           .dk = dk,
                           .dv = dv,
                           .dout = dout,
                           .out = out,
                           .lse = lse,
                           .q = q,
                           .k = k,
                           .v = v,
                           .cu_q = cu,
                           .cu_k = cu,
                           .heads = kHeads,
                           .scale = 0.125f,
                           .dropout = dropout,
                           .row_ids = ids});
  });
  const auto rows = [&](Span x) { return values(x.row_slice(first[wanted], first[wanted + 1])); };
  return {rows(out), rows(lse), rows(dq), rows(dk), rows(dv)};
}

// A sequence gives the same bits alone and among others, even where these are NaN.
TEST(Attention, SequencesDoNotMeet) {
  for_each_case({.sizes = {150}}, [](const Case& c) {
    const Sequence sequence = {c.size, 5};
    const Results alone = results_of(c, {sequence}, 0), together = results_of(c, {{300, 0}, sequence, {7, 0}}, 1);
    EXPECT_EQ(alone.out, together.out);
    EXPECT_EQ(alone.lse, together.lse);
    EXPECT_EQ(alone.dq, together.dq);
    EXPECT_EQ(alone.dk, together.dk);
    EXPECT_EQ(alone.dv, together.dv);
  });
}

TEST(Attention, RefusesWhatDoesNotFit) {
  Stream s;
  const Tensor x = Tensor::zeros(DType::f32, 4, 6), half = Tensor::zeros(DType::bf16, 4, 6);
  const Tensor lse = Tensor::zeros(DType::f32, 4, 2);
  const int32_t cu[] = {0, 3, 4}, no_keys[] = {0, 0, 4}, too_many[] = {0, 3, 5};
  const AttentionForward good = {
      .out = x, .q = x, .k = x, .v = x, .cu_q = vector(cu, 3), .cu_k = vector(cu, 3), .heads = 2, .scale = 1};
  attention_forward(s, good);
  const auto refuses = [&](const char* words, const std::function<void(AttentionForward&)>& spoil) {
    AttentionForward bad = good;
    spoil(bad);
    try {
      attention_forward(s, bad);
      ADD_FAILURE() << "accepted; expected: " << words;
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()).find(words), std::string::npos) << e.what();
    }
  };
  refuses("6 columns for 4 heads", [](auto& a) { a.heads = 4; });
  refuses("k holds bf16; expected f32", [&](auto& a) { a.k = half; });
  refuses("v is 3 x 6; expected 4 x 6", [&](auto& a) { a.v = x.span().row_slice(0, 3); });
  refuses("lse is 4 x 6; expected 4 x 2", [&](auto& a) { a.lse = x; });
  refuses("scale 0", [](auto& a) { a.scale = 0; });
  refuses("row_ids is missing", [](auto& a) { a.dropout.p = 0.5f; });
  refuses("sequence 0 has 3 queries and 0 keys", [&](auto& a) { a.cu_k = vector(no_keys, 3); });
  refuses("cu_k goes from 0 to 5", [&](auto& a) { a.cu_k = vector(too_many, 3); });
  EXPECT_THROW(attention_backward(s, {.dq = x,
                                      .dk = x,
                                      .dv = x,
                                      .dout = x,
                                      .out = x,
                                      .q = x,
                                      .k = x,
                                      .v = x,
                                      .cu_q = vector(cu, 3),
                                      .cu_k = vector(cu, 3),
                                      .heads = 2,
                                      .scale = 1}),
               std::invalid_argument);  // no lse
}

}  // namespace
}  // namespace aid::test
