// BERT and DistilBERT against PyTorch: tests/golden/bert.py. The truth is PyTorch's result in f64.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/update/adamw.h"
#include "kernels/update/global_norm.h"
#include "tests/nn/golden.h"

namespace aid {
namespace {

using nn::BertClassifier;
using nn::Mode;
using test::expect_near;
using test::Golden;
using test::largest;

class BertGolden : public testing::TestWithParam<std::tuple<std::string, Target>> {
 protected:
  void SetUp() override {
    if (!supported(target())) GTEST_SKIP() << "this processor cannot run " << name_of(target());
  }
  Target target() const { return std::get<1>(GetParam()); }

  Golden golden_{std::get<0>(GetParam())};
};

TEST_P(BertGolden, Logits) {
  for (const Mode mode : {Mode::inference, Mode::training}) {
    Stream s({.threads = 2, .target = target()});
    BertClassifier model = golden_.model(s, DType::f32, mode);
    for (int i = 0; i < 2; ++i) {
      const auto& expected = golden_.floats("logits/" + std::to_string(i));
      expect_near(test::floats_of(s, model.forward(s, golden_.batch(i))), expected, 1e-5 * largest(expected), "logits");
      s.release();
    }
  }
}

// Of its largest element: f32 sums of a few hundred terms, three layers deep.
constexpr double kGradientTolerance = 2e-5;
// The gradient of a key's bias is zero, exactly (softmax does not change when every score of a query moves alike); what
// is computed is rounding, here against the other gradients' size.
constexpr double kGradientFloor = 1e-6;

TEST_P(BertGolden, LossAndEveryGradient) {
  Stream s({.threads = 2, .target = target()});
  BertClassifier model = golden_.model(s, DType::f32, Mode::training);
  const test::Step step = test::forward_backward(s, model, golden_.batch(0), golden_.labels(0));
  EXPECT_NEAR(step.loss, golden_.number("loss"), 1e-5 * golden_.number("loss"));
  for (const nn::Parameter& parameter : model.parameters()) {
    std::vector<float> expected(static_cast<size_t>(parameter.gradient.size()));
    if (parameter.trainable) expected = golden_.floats("gradient/" + parameter.name);
    expect_near(test::floats_of(s, parameter.gradient), expected,
                kGradientTolerance * largest(expected) + kGradientFloor, parameter.name);
  }
}

TEST_P(BertGolden, TenLossesWithAdamWScheduleAndClipping) {
  constexpr int kSteps = 10;
  Stream s({.threads = 2, .target = target()});
  BertClassifier model = golden_.model(s, DType::f32, Mode::training);
  std::vector<AdamWTensor> tensors;
  std::vector<CSpan> gradients;
  std::vector<Tensor> moments;
  for (const nn::Parameter& parameter : model.parameters()) {
    if (!parameter.trainable) continue;
    const Span value = parameter.trained_value;
    for (int i = 0; i < 2; ++i) moments.push_back(Tensor::zeros(DType::f32, value.rows, value.cols));
    tensors.push_back({.parameter = value,
                       .gradient = parameter.gradient,
                       .m = moments[moments.size() - 2],
                       .v = moments[moments.size() - 1],
                       .weight_decay = parameter.decay ? golden_.number("train/decay") : 0});
    gradients.push_back(parameter.gradient);
  }
  const int warmup = golden_.integers("train/warmup")[0];
  for (int step = 0; step < kSteps; ++step) {
    const auto loss = test::forward_backward(s, model, golden_.batch(step % 2), golden_.labels(step % 2)).loss;
    // Steps before it divide a rounding error by a small second moment: it grows with every step.
    EXPECT_NEAR(loss, golden_.floats("losses")[step], 1e-4) << "step " << step;
    float norm = 0;
    global_norm(s, {.norm = vector(&norm, 1), .vectors = gradients});
    EXPECT_NEAR(norm, golden_.floats("gradient_norms")[step], 1e-3 * norm) << "step " << step;
    const double schedule =
        step < warmup ? static_cast<double>(step) / warmup : static_cast<double>(kSteps - step) / (kSteps - warmup);
    adamw(s, {.tensors = tensors,
              .lr = static_cast<float>(golden_.number("train/lr") * schedule),
              .step = step + 1,
              .norm = vector(&norm, 1),
              .max_norm = golden_.number("train/clip"),
              .clear_gradients = true});
    model.update_weights(s);
  }
}

// What PyTorch loses by bf16 on the same batches is what we may lose twice. Root of the mean square over all logits:
// the largest of a few would be luck.
TEST_P(BertGolden, Bf16LogitsNoWorseThanTwicePyTorch) {
  Stream s({.threads = 2, .target = target()});
  BertClassifier model = golden_.model(s, DType::bf16, Mode::inference);
  double ours = 0, theirs = 0;
  for (int i = 0; i < 2; ++i) {
    const auto& truth = golden_.floats("logits/" + std::to_string(i));
    ours += std::pow(test::distance(test::floats_of(s, model.forward(s, golden_.batch(i))), truth), 2);
    theirs += std::pow(test::distance(golden_.floats("bf16_logits/" + std::to_string(i)), truth), 2);
  }
  RecordProperty("error_over_pytorch", std::to_string(std::sqrt(ours / theirs)));
  EXPECT_LE(std::sqrt(ours), 2 * std::sqrt(theirs));
}

TEST_P(BertGolden, Bf16GradientsNoWorseThanTwicePyTorch) {
  Stream s({.threads = 2, .target = target()});
  BertClassifier model = golden_.model(s, DType::bf16, Mode::training);
  test::forward_backward(s, model, golden_.batch(0), golden_.labels(0));
  double ours = 0, theirs = 0;
  for (const nn::Parameter& parameter : model.parameters()) {
    if (!parameter.trainable) continue;
    const auto& truth = golden_.floats("gradient/" + parameter.name);
    ours += std::pow(test::distance(test::floats_of(s, parameter.gradient), truth), 2);
    theirs += std::pow(golden_.number("autocast_gradient_error/" + parameter.name) * test::norm(truth), 2);
  }
  RecordProperty("error_over_pytorch", std::to_string(std::sqrt(ours / theirs)));
  EXPECT_LE(std::sqrt(ours), 2 * std::sqrt(theirs));
}

INSTANTIATE_TEST_SUITE_P(
    All, BertGolden,
    testing::Combine(testing::ValuesIn(Golden::names()),
                     testing::Values(Target::cpu_avx2, Target::cpu_avx512, Target::cpu_avx512_bf16, Target::cpu_amx)),
    [](const auto& test) { return std::get<0>(test.param) + "_" + name_of(std::get<1>(test.param)); });

}  // namespace
}  // namespace aid
