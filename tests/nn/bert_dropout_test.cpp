// Dropout in a whole model: gradients by finite differences with the same masks, expectation, and what masks depend on.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/nn/golden.h"

namespace aid {
namespace {

using nn::BertClassifier;
using nn::DropoutKey;
using nn::Mode;
using test::Golden;

// Models without ReLU: its kinks spoil finite differences.
class BertDropout : public testing::TestWithParam<std::string> {
 protected:
  Golden golden_{GetParam()};
  Stream s_{{.threads = 2}};
};

TEST_P(BertDropout, GradientsAreThoseOfTheMaskedModel) {
  // f32 losses have an error of about 1e-7, so the slope along a unit vector one of 1e-7 / kStep; the error of the
  // four-point formula is far below.
  constexpr float kStep = 4e-3f;
  constexpr double kTolerance = 1e-3;
  constexpr DropoutKey kKey{.seed = 11, .step = 5};
  nn::BertConfig config = golden_.config();
  config.hidden_dropout = 0.3f;
  config.attention_dropout = 0.4f;
  config.classifier_dropout = 0.2f;
  BertClassifier model = golden_.model(s_, DType::f32, Mode::training, config);
  const nn::TokenBatch batch = golden_.batch(0);
  const std::vector<int32_t>& labels = golden_.labels(0);
  test::forward_backward(s_, model, batch, labels, kKey);
  std::vector<std::vector<float>> gradients;
  double largest = 0;
  for (const nn::Parameter& parameter : model.parameters()) {
    gradients.push_back(test::floats_of(parameter.gradient));
    largest = std::max(largest, test::norm(gradients.back()));
  }
  const auto loss_at = [&](nn::Parameter& parameter, const std::vector<float>& value,
                           const std::vector<float>& direction, float step) {
    std::vector<float> moved = value;
    for (size_t i = 0; i < moved.size(); ++i) moved[i] += step * direction[i];
    model.set_value(parameter, vector(std::as_const(moved).data(), static_cast<int64_t>(moved.size())));
    model.update_weights(s_);
    return static_cast<double>(test::forward_backward(s_, model, batch, labels, kKey).loss);
  };
  for (size_t i = 0; i < gradients.size(); ++i) {
    nn::Parameter& parameter = model.parameters()[i];
    if (!parameter.trainable) continue;
    // Along the gradient, where the slope is large, and a zigzag that a wrong gradient cannot have foreseen.
    std::vector<float> direction = gradients[i];
    const double size = std::max(test::norm(direction), 1e-12);
    for (size_t k = 0; k < direction.size(); ++k) {
      const double zigzag = ((k * 2654435761u >> 7) & 1) != 0 ? 1 : -1;
      direction[k] = static_cast<float>((direction[k] / size + zigzag / std::sqrt(direction.size())) / std::sqrt(2.0));
    }
    // The padding word's embedding does move the loss, but by definition gets no gradient.
    if (parameter.name.ends_with("word_embeddings.weight")) {
      std::fill_n(direction.begin() + config.padding_idx * config.hidden, config.hidden, 0.0f);
    }
    double expected = 0;
    for (size_t k = 0; k < direction.size(); ++k) expected += static_cast<double>(gradients[i][k]) * direction[k];
    const std::vector<float> value = test::floats_of(parameter.value);
    const double near = loss_at(parameter, value, direction, kStep) - loss_at(parameter, value, direction, -kStep);
    const double far =
        loss_at(parameter, value, direction, 2 * kStep) - loss_at(parameter, value, direction, -2 * kStep);
    EXPECT_NEAR((8 * near - far) / (12 * kStep), expected, kTolerance * largest) << parameter.name;
    model.set_value(parameter, vector(value.data(), static_cast<int64_t>(value.size())));
  }
}

TEST_P(BertDropout, MasksDependOnSeedStepAndSequenceAlone) {
  nn::BertConfig config = golden_.config();
  config.hidden_dropout = 0.3f;
  BertClassifier model = golden_.model(s_, DType::f32, Mode::training, config);
  nn::TokenBatch batch = golden_.batch(0);
  const auto logits = [&](const DropoutKey& key) { return test::floats_of(model.forward_training(s_, batch, key)); };
  const auto first = logits({.seed = 1, .step = 1});
  EXPECT_EQ(logits({.seed = 1, .step = 1}), first);
  EXPECT_NE(logits({.seed = 2, .step = 1}), first);
  EXPECT_NE(logits({.seed = 1, .step = 2}), first);
  EXPECT_NE(logits({.seed = 1, .step = 1, .on = false}), first);
  EXPECT_EQ(logits({.seed = 1, .step = 1, .on = false}), logits({.seed = 9, .step = 4, .on = false}));
  batch.sequence_ids[1] = 77;
  EXPECT_NE(logits({.seed = 1, .step = 1}), first);
}

TEST_P(BertDropout, EverySiteDrops) {
  for (int site = 0; site < 3; ++site) {
    nn::BertConfig config = golden_.config();
    (site == 0 ? config.hidden_dropout : site == 1 ? config.attention_dropout : config.classifier_dropout) = 0.3f;
    BertClassifier model = golden_.model(s_, DType::f32, Mode::training, config);
    const auto dropped = test::floats_of(model.forward_training(s_, golden_.batch(0), {.seed = 1, .step = 1}));
    EXPECT_NE(dropped, test::floats_of(model.forward(s_, golden_.batch(0)))) << "site " << site;
  }
}

// After the classifier's dropout all is linear: the mean of the logits over many masks is the logit without dropout.
TEST_P(BertDropout, ClassifierDropoutKeepsTheExpectation) {
  constexpr int kDraws = 1000;
  constexpr double kDeviations = 5;
  nn::BertConfig config = golden_.config();
  config.classifier_dropout = 0.4f;
  BertClassifier model = golden_.model(s_, DType::f32, Mode::training, config);
  const auto expected = test::floats_of(model.forward(s_, golden_.batch(1)));
  std::vector<double> sum(expected.size()), squares(expected.size());
  for (uint32_t draw = 0; draw < kDraws; ++draw) {
    const auto drawn = test::floats_of(model.forward_training(s_, golden_.batch(1), {.seed = 3, .step = draw}));
    s_.release();
    for (size_t i = 0; i < drawn.size(); ++i) {
      sum[i] += drawn[i];
      squares[i] += static_cast<double>(drawn[i]) * drawn[i];
    }
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    const double mean = sum[i] / kDraws, deviation = std::sqrt((squares[i] / kDraws - mean * mean) / kDraws);
    EXPECT_GT(deviation, 0);
    EXPECT_NEAR(mean, expected[i], kDeviations * deviation) << "logit " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, BertDropout, testing::Values("bert_h24", "bert_h40", "bert_h24_tanh"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace aid
