// What results may not depend on: the other texts of a batch, the number of threads, how a step is cut into
// micro-batches.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/nn/golden.h"

namespace aid {
namespace {

using nn::BertClassifier;
using nn::Mode;
using test::Golden;

constexpr nn::DropoutKey kKey{.seed = 7, .step = 3};

class BertInvariance : public testing::TestWithParam<std::tuple<std::string, DType>> {
 protected:
  DType compute() const { return std::get<1>(GetParam()); }
  nn::BertConfig config_with_dropout() const {
    nn::BertConfig config = golden_.config();
    config.hidden_dropout = 0.2f;
    config.attention_dropout = 0.3f;
    config.classifier_dropout = 0.1f;
    return config;
  }

  Golden golden_{std::get<0>(GetParam())};
};

std::vector<float> row(const std::vector<float>& logits, size_t i, size_t labels) {
  return {logits.begin() + static_cast<int64_t>(i * labels), logits.begin() + static_cast<int64_t>((i + 1) * labels)};
}

TEST_P(BertInvariance, LogitsOfATextAloneAreThoseInABatch) {
  Stream s({.threads = 2});
  BertClassifier model = golden_.model(s, compute(), Mode::inference);
  const nn::TokenBatch batch = golden_.batch(0);
  const auto labels = static_cast<size_t>(golden_.config().labels);
  const std::vector<float> together = test::floats_of(model.forward(s, batch));
  for (int i = 0; i < batch.sequences(); ++i) {
    EXPECT_EQ(test::floats_of(model.forward(s, test::pick(batch, {i}))), row(together, static_cast<size_t>(i), labels))
        << "text " << i;
    s.release();
  }
}

TEST_P(BertInvariance, DropoutOfATextIsTheSameInEveryPacking) {
  Stream s({.threads = 2});
  BertClassifier model = golden_.model(s, compute(), Mode::training, config_with_dropout());
  const nn::TokenBatch batch = golden_.batch(0);
  const auto labels = static_cast<size_t>(golden_.config().labels);
  const std::vector<float> together = test::floats_of(model.forward_training(s, batch, kKey));
  const std::vector<int> order = {3, 0, 4};
  const std::vector<float> mixed = test::floats_of(model.forward_training(s, test::pick(batch, order), kKey));
  for (size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(row(mixed, i, labels), row(together, static_cast<size_t>(order[i]), labels)) << "text " << order[i];
  }
}

TEST_P(BertInvariance, DeterministicStreamsGiveTheSameBitsForAnyNumberOfThreads) {
  std::vector<std::vector<float>> first;
  for (const int threads : {1, 2, 3, 2}) {
    Stream s({.threads = threads, .deterministic = true});
    BertClassifier model = golden_.model(s, compute(), Mode::training, config_with_dropout());
    const auto step = test::forward_backward(s, model, golden_.batch(0), golden_.labels(0), kKey);
    std::vector<std::vector<float>> results = {step.logits};
    for (const nn::Parameter& parameter : model.parameters()) results.push_back(test::floats_of(parameter.gradient));
    if (first.empty()) first = results;
    ASSERT_EQ(results[0], first[0]) << "logits with " << threads << " threads";
    for (size_t i = 1; i < results.size(); ++i) {
      ASSERT_EQ(results[i], first[i]) << model.parameters()[i - 1].name << " with " << threads << " threads";
    }
  }
}

TEST_P(BertInvariance, GradientsOfMicroBatchesAddUp) {
  Stream s({.threads = 2});
  const nn::TokenBatch batch = golden_.batch(0);
  const std::vector<int32_t>& labels = golden_.labels(0);
  BertClassifier whole = golden_.model(s, compute(), Mode::training, config_with_dropout());
  BertClassifier parts = golden_.model(s, compute(), Mode::training, config_with_dropout());
  const float loss = test::forward_backward(s, whole, batch, labels, kKey).loss;
  float sum = 0;
  for (const std::vector<int>& texts : {std::vector{4, 1}, std::vector{0}, std::vector{2, 3}}) {
    std::vector<int32_t> some;
    for (const int text : texts) some.push_back(labels[static_cast<size_t>(text)]);
    sum +=
        test::forward_backward(s, parts, test::pick(batch, texts), some, kKey, static_cast<float>(labels.size())).loss;
  }
  EXPECT_NEAR(sum, loss, 1e-6f * loss);
  double difference = 0, size = 0;
  for (size_t i = 0; i < whole.parameters().size(); ++i) {
    const auto expected = test::floats_of(whole.parameters()[i].gradient);
    difference += std::pow(test::distance(test::floats_of(parts.parameters()[i].gradient), expected), 2);
    size += std::pow(test::norm(expected), 2);
  }
  // The same products of the same roundings; only f32 sums over tokens are cut otherwise.
  EXPECT_LE(std::sqrt(difference / size), 1e-6);
}

TEST_P(BertInvariance, ArenaIsLeftAsFound) {
  Stream s({.threads = 2});
  BertClassifier model = golden_.model(s, compute(), Mode::inference);
  model.forward(s, golden_.batch(0));
  s.release();
  const size_t high_water = s.arena().high_water_bytes();
  for (int i = 0; i < 3; ++i) model.forward(s, golden_.batch(0));  // not released: each leaves its logits only
  EXPECT_LE(s.arena().high_water_bytes(), high_water + 3 * 4096);
}

INSTANTIATE_TEST_SUITE_P(All, BertInvariance,
                         testing::Combine(testing::Values("bert_h24", "bert_h40", "bert_h66", "distilbert_h66"),
                                          testing::Values(DType::f32, DType::bf16)),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" + name_of(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace aid
