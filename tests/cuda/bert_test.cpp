// BERT and DistilBERT on the GPU against PyTorch (tests/golden/bert.py) and against the CPU.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/nn/golden.h"

namespace aid {
namespace {

using nn::BertClassifier;
using nn::Mode;
using test::expect_near;
using test::Golden;
using test::largest;

class BertOnGpu : public testing::TestWithParam<std::string> {
 protected:
  // Over the logits of both batches, as there: the largest of a few would be luck.
  void expect_logits_no_worse_than_twice(BertClassifier& model, const std::string& pytorchs) {
    double ours = 0, theirs = 0;
    for (int i = 0; i < 2; ++i) {
      const auto& truth = golden_.floats("logits/" + std::to_string(i));
      ours += std::pow(test::distance(test::floats_of(gpu_, model.forward(gpu_, golden_.batch(i))), truth), 2);
      theirs += std::pow(test::distance(golden_.floats(pytorchs + std::to_string(i)), truth), 2);
      gpu_.release();
    }
    EXPECT_LE(std::sqrt(ours), 2 * std::sqrt(theirs)) << "logits";
  }

  Golden golden_{GetParam()};
  Stream gpu_{{.threads = 2, .target = Target::cuda}};
};

// The tolerances of tests/nn/bert_golden_test.cpp.
TEST_P(BertOnGpu, Logits) {
  BertClassifier model = golden_.model(gpu_, DType::f32, Mode::inference);
  for (int i = 0; i < 2; ++i) {
    const auto& expected = golden_.floats("logits/" + std::to_string(i));
    expect_near(test::floats_of(gpu_, model.forward(gpu_, golden_.batch(i))), expected, 1e-5 * largest(expected),
                "logits");
    gpu_.release();
  }
}

TEST_P(BertOnGpu, LossAndEveryGradient) {
  BertClassifier model = golden_.model(gpu_, DType::f32, Mode::training);
  const test::Step step = test::forward_backward(gpu_, model, golden_.batch(0), golden_.labels(0));
  EXPECT_NEAR(step.loss, golden_.number("loss"), 1e-5 * golden_.number("loss"));
  for (const nn::Parameter& parameter : model.parameters()) {
    std::vector<float> expected(static_cast<size_t>(parameter.gradient.size()));
    if (parameter.trainable) expected = golden_.floats("gradient/" + parameter.name);
    expect_near(test::floats_of(gpu_, parameter.gradient), expected, 2e-5 * largest(expected) + 1e-6, parameter.name);
  }
}

// Dropout's masks are the CPU's, bit for bit: so are, but for rounding, loss and gradients.
TEST_P(BertOnGpu, GradientsWithDropoutEqualTheCpus) {
  nn::BertConfig config = golden_.config();
  config.hidden_dropout = config.attention_dropout = config.classifier_dropout = 0.2f;
  const nn::DropoutKey dropout{.seed = 11, .step = 3};
  Stream cpu({.threads = 2});
  BertClassifier on_cpu = golden_.model(cpu, DType::f32, Mode::training, config);
  BertClassifier on_gpu = golden_.model(gpu_, DType::f32, Mode::training, config);
  const test::Step expected = test::forward_backward(cpu, on_cpu, golden_.batch(0), golden_.labels(0), dropout);
  const test::Step actual = test::forward_backward(gpu_, on_gpu, golden_.batch(0), golden_.labels(0), dropout);
  EXPECT_NEAR(actual.loss, expected.loss, 1e-5 * static_cast<double>(expected.loss));
  for (size_t i = 0; i < on_cpu.parameters().size(); ++i) {
    const std::vector<float> gradient = test::floats_of(cpu, on_cpu.parameters()[i].gradient);
    expect_near(test::floats_of(gpu_, on_gpu.parameters()[i].gradient), gradient, 2e-5 * largest(gradient) + 1e-6,
                on_cpu.parameters()[i].name);
  }
}

TEST_P(BertOnGpu, Bf16NoWorseThanTwicePyTorch) {
  BertClassifier model = golden_.model(gpu_, DType::bf16, Mode::training);
  expect_logits_no_worse_than_twice(model, "bf16_logits/");
  test::forward_backward(gpu_, model, golden_.batch(0), golden_.labels(0));
  double ours = 0, theirs = 0;
  for (const nn::Parameter& parameter : model.parameters()) {
    if (!parameter.trainable) continue;
    const auto& truth = golden_.floats("gradient/" + parameter.name);
    ours += std::pow(test::distance(test::floats_of(gpu_, parameter.gradient), truth), 2);
    theirs += std::pow(golden_.number("autocast_gradient_error/" + parameter.name) * test::norm(truth), 2);
  }
  EXPECT_LE(std::sqrt(ours), 2 * std::sqrt(theirs)) << "gradients";
}

TEST_P(BertOnGpu, F16NoWorseThanTwicePyTorchAndNotTrained) {
  BertClassifier model = golden_.model(gpu_, DType::f16, Mode::inference);
  expect_logits_no_worse_than_twice(model, "f16_logits/");
  EXPECT_THROW(golden_.model(gpu_, DType::f16, Mode::training), std::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(All, BertOnGpu, testing::ValuesIn(Golden::names()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace aid
