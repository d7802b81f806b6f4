#include "kernels/rows/cross_entropy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/cross_entropy.h"

namespace aid::test {
namespace {

struct Shape {
  int64_t rows, classes;
};

TEST(CrossEntropy, LossProbabilitiesAndGradient) {
  for_each_case({.dtypes = {DType::f32}}, [](const Case& c) {
    for (const auto& [rows, classes] : {Shape{5, c.size}, Shape{c.size, 13}}) {
      for (const float smoothing : {0.0f, 0.1f}) {
        for (const float total_weight : {0.0f, 50.0f}) {
          OpRun run(c);
          Random random(c);
          const bool weighted = total_weight > 0;
          const float scale = weighted ? 0.25f : 1.0f;
          const Span dlogits = run.inout(random.normal(rows * classes, 4, 20), rows, classes);  // logits at first
          const CSpan labels = run.input(random.integers(rows, classes), 1, rows, {DType::i32});
          const CSpan weights = run.input(
              weighted ? random.uniform(classes, 0.1, 3) : std::vector<double>(static_cast<size_t>(classes), 1), 1,
              classes, {DType::f32});
          const Span probabilities = run.output(rows, classes, {DType::f32, 2}), loss = run.output(1, 1);
          const auto exact =
              reference::cross_entropy<double>(values(dlogits), values_as<int32_t>(labels), values(weights),
                                               static_cast<double>(smoothing), total_weight, scale);
          const auto naive = reference::cross_entropy<float>(values_as<float>(dlogits), values_as<int32_t>(labels),
                                                             values_as<float>(weights), smoothing, total_weight, scale);
          run.execute([&](Stream& s) {
            cross_entropy(s, {.loss = loss,
                              .dlogits = dlogits,
                              .probabilities = probabilities,
                              .logits = dlogits,
                              .labels = labels,
                              .class_weights = weighted ? weights : CSpan(),
                              .label_smoothing = smoothing,
                              .total_weight = total_weight,
                              .loss_scale = scale});
          });
          expect_close(loss, {exact.loss}, {naive.loss});
          expect_close(probabilities, exact.probabilities, naive.probabilities);
          // A gradient is the difference of two shares of at most a text's weight.
          const std::vector<double> weight = values(weights);
          const double share = scale * *std::max_element(weight.begin(), weight.end()) /
                               (weighted ? total_weight : static_cast<double>(rows));
          expect_close(dlogits, exact.dlogits, naive.dlogits, share);
        }
      }
    }
  });
}

TEST(CrossEntropy, ReferenceGradientIsTheDerivative) {
  Random random(1);
  const auto logits = random.normal(4 * 5), weights = random.uniform(5, 0.2, 2);
  const std::vector<int32_t> labels = {0, 4, 2, 2};
  expect_gradient(
      reference::cross_entropy<double>(logits, labels, weights, 0.1, 0, 1).dlogits, logits,
      [&](const auto& moved) { return reference::cross_entropy<double>(moved, labels, weights, 0.1, 0, 1).loss; });
}

// torch.nn.CrossEntropyLoss(weight=[0.5, 1, 2], label_smoothing=0.1) of logits [[1, 2, 3], [-1, 0, 1]], labels [2, 0].
TEST(CrossEntropy, AsTorchHasIt) {
  Stream s;
  const float logits[] = {1, 2, 3, -1, 0, 1}, weights[] = {0.5f, 1, 2};
  const int32_t labels[] = {2, 0};
  float loss = 0;
  cross_entropy(s, {.loss = vector(&loss, 1),
                    .logits = matrix(logits, 2, 3),
                    .labels = vector(labels, 2),
                    .class_weights = vector(weights, 3),
                    .label_smoothing = 0.1f});
  EXPECT_NEAR(loss, 0.8182219246814179, 1e-6);
}

TEST(CrossEntropy, ProbabilitiesNeedNoLabels) {
  for (const Target target : targets()) {
    OpRun run({.target = target});
    const CSpan logits = run.input({1000, 1000, -1000}, 1, 3);
    const Span p = run.output(1, 3);
    run.execute([&](Stream& s) { cross_entropy(s, {.probabilities = p, .logits = logits}); });
    expect_equal(p, {0.5, 0.5, 0.0});
  }
}

TEST(CrossEntropy, RefusesLabelsOutOfRange) {
  Stream s;
  const float logits[] = {1, 2};
  const int32_t label = 2;
  float loss = 0;
  EXPECT_THROW(cross_entropy(s, {.loss = vector(&loss, 1), .logits = vector(logits, 2), .labels = vector(&label, 1)}),
               std::invalid_argument);
}

}  // namespace
}  // namespace aid::test
