#include "nn/initialise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/nn/golden.h"

namespace aid {
namespace {

using nn::BertClassifier;
using nn::BertConfig;
using nn::Mode;

constexpr BertConfig kConfig{.vocab_size = 900,
                             .hidden = 48,
                             .layers = 2,
                             .heads = 3,
                             .intermediate = 100,
                             .max_positions = 64,
                             .types = 2,
                             .labels = 4,
                             .padding_idx = 1};

std::vector<float> drawn(BertClassifier& model, const std::string& name, uint64_t seed) {
  for (nn::Parameter& parameter : model.parameters()) {
    if (parameter.name != name) continue;
    model.initialise(parameter, seed);
    Stream s;
    return test::floats_of(s, parameter.value);
  }
  throw std::runtime_error("no parameter " + name);
}

TEST(Initialise, MatricesAreNormalWithTheConfiguredDeviation) {
  BertClassifier model(kConfig, DType::f32, Mode::training);
  const auto values = drawn(model, "bert.embeddings.word_embeddings.weight", 1);
  double sum = 0, squares = 0, fourth = 0;
  for (const float value : values) {
    const double x = value / 0.02;
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  const double n = static_cast<double>(values.size() - 48);  // less the padding word
  // Five standard errors of each moment of a normal distribution.
  EXPECT_NEAR(sum / n, 0, 5 * std::sqrt(1 / n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96 / n));
  for (int i = 0; i < 48; ++i) EXPECT_EQ(values[static_cast<size_t>(48 + i)], 0) << "padding word, column " << i;
}

TEST(Initialise, BiasesAndNormsAreConstant) {
  BertClassifier model(kConfig, DType::f32, Mode::training);
  EXPECT_EQ(drawn(model, "bert.encoder.layer.1.output.dense.bias", 1), std::vector<float>(48, 0.0f));
  EXPECT_EQ(drawn(model, "bert.encoder.layer.1.output.LayerNorm.bias", 1), std::vector<float>(48, 0.0f));
  EXPECT_EQ(drawn(model, "bert.encoder.layer.1.output.LayerNorm.weight", 1), std::vector<float>(48, 1.0f));
}

TEST(Initialise, ValuesDependOnSeedAndNameAlone) {
  BertClassifier model(kConfig, DType::f32, Mode::training);
  BertConfig deeper = kConfig;
  deeper.layers = 3;
  BertClassifier other(deeper, DType::f32, Mode::training);
  const std::string name = "bert.pooler.dense.weight";
  const auto values = drawn(model, name, 5);
  EXPECT_EQ(drawn(other, name, 5), values);
  EXPECT_NE(drawn(model, name, 6), values);
  EXPECT_NE(drawn(model, "bert.encoder.layer.0.attention.self.query.weight", 5), values);
}

// transformers: DistilBertModel(DistilBertConfig(dim=8, ...)).embeddings.position_embeddings.weight[3]
TEST(Initialise, FrozenPositionsAreSinusoidal) {
  BertConfig config = kConfig;
  config.architecture = BertConfig::Architecture::distilbert;
  config.types = 0;
  config.hidden = 6;
  config.freeze_positions = true;
  BertClassifier model(config, DType::f32, Mode::training);
  const auto table = drawn(model, "distilbert.embeddings.position_embeddings.weight", 1);
  for (int col = 0; col < 6; ++col) {
    const int pair = col / 2;
    const double angle = 3 / std::pow(10000.0, 2 * pair / 6.0);
    EXPECT_FLOAT_EQ(table[static_cast<size_t>(3 * 6 + col)],
                    static_cast<float>(col % 2 == 0 ? std::sin(angle) : std::cos(angle)));
  }
}

}  // namespace
}  // namespace aid
