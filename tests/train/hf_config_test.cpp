#include "train/model/hf_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/io/test_files.h"

namespace aid::train {
namespace {

using io::test::TemporaryFolder;
using nlohmann::json;

HfConfig read(const std::string& text) {
  const TemporaryFolder folder;
  io::test::put(folder / "config.json", text);
  return read_hf_config(folder.path());
}

std::string refusal(const json& config) {
  return io::test::error_of([&] { read(config.dump()); });
}

json with(const char* key, const json& value) {
  json config = {{"model_type", "bert"}};
  config[key] = value;
  return config;
}

TEST(HfConfig, DefaultsAreTransformers) {
  const HfConfig bert = read(R"({"model_type": "bert"})");
  EXPECT_EQ(bert.model.architecture, nn::BertConfig::Architecture::bert);
  EXPECT_EQ(bert.model.vocab_size, 30522);
  EXPECT_EQ(bert.model.hidden, 768);
  EXPECT_EQ(bert.model.layers, 12);
  EXPECT_EQ(bert.model.heads, 12);
  EXPECT_EQ(bert.model.intermediate, 3072);
  EXPECT_EQ(bert.model.max_positions, 512);
  EXPECT_EQ(bert.model.types, 2);
  EXPECT_EQ(bert.model.activation, Activation::gelu_erf);
  EXPECT_EQ(bert.model.layer_norm_eps, 1e-12f);
  EXPECT_EQ(bert.model.padding_idx, 0);
  EXPECT_EQ(bert.model.classifier_dropout, 0.1f);
  EXPECT_EQ(bert.labels, (std::vector<std::string>{"LABEL_0", "LABEL_1"}));

  const HfConfig distil = read(R"({"model_type": "distilbert"})");
  EXPECT_EQ(distil.model.architecture, nn::BertConfig::Architecture::distilbert);
  EXPECT_EQ(distil.model.layers, 6);
  EXPECT_EQ(distil.model.types, 0);
  EXPECT_EQ(distil.model.classifier_dropout, 0.2f);
  EXPECT_EQ(distil.model.layer_norm_eps, 1e-12f);
}

// BETO's first release has neither model_type nor layer_norm_eps nor pad_token_id.
TEST(HfConfig, ReadsTheFirstBetoRelease) {
  const HfConfig beto = read(R"({"attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
    "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072, "max_position_embeddings": 512,
    "num_attention_heads": 12, "num_hidden_layers": 12, "type_vocab_size": 2, "vocab_size": 31002})");
  EXPECT_EQ(beto.model.architecture, nn::BertConfig::Architecture::bert);
  EXPECT_EQ(beto.model.vocab_size, 31002);
}

TEST(HfConfig, ReadsWhatIsWritten) {
  for (const bool distil : {false, true}) {
    HfConfig config;
    config.labels = {"contrato", "ley", "resolución \"final\""};
    nn::BertConfig& c = config.model;
    c = {.vocab_size = 77,
         .hidden = 24,
         .layers = 3,
         .heads = 2,
         .intermediate = 50,
         .max_positions = 40,
         .types = 2,
         .labels = 3,
         .activation = Activation::gelu_tanh,
         .layer_norm_eps = 1e-5f,
         .hidden_dropout = 0.15f,
         .attention_dropout = 0.25f,
         .classifier_dropout = 0.3f,
         .padding_idx = 1,
         .initializer_range = 0.05f};
    if (distil) {
      c.architecture = nn::BertConfig::Architecture::distilbert;
      c.types = 0;
      c.layer_norm_eps = 1e-12f;  // fixed in DistilBERT
      config.sinusoidal_positions = true;
    }
    const std::string text = hf_config_json(config);
    EXPECT_NE(text.find("0.15"), std::string::npos);
    EXPECT_EQ(text.find("0.1500"), std::string::npos) << "an f32 is written with its own digits";
    const HfConfig again = read(text);
    EXPECT_EQ(hf_config_json(again), text);
    EXPECT_EQ(again.labels, config.labels);
    EXPECT_EQ(again.model.padding_idx, 1);
    EXPECT_EQ(again.model.activation, Activation::gelu_tanh);
    EXPECT_EQ(again.model.layer_norm_eps, c.layer_norm_eps);
    EXPECT_EQ(again.model.classifier_dropout, 0.3f);
    EXPECT_EQ(again.sinusoidal_positions, distil);
  }
}

TEST(HfConfig, NoPaddingRowStaysNone) {
  EXPECT_EQ(read(R"({"model_type": "bert", "pad_token_id": null})").model.padding_idx, -1);
  HfConfig config = read(R"({"model_type": "bert"})");
  config.model.padding_idx = -1;
  EXPECT_EQ(read(hf_config_json(config)).model.padding_idx, -1);
}

TEST(HfConfig, RefusesByNameWhatIsNotComputed) {
  const std::pair<json, const char*> cases[] = {
      {with("model_type", "roberta"), "\"model_type\" is \"roberta\", expected \"bert\" or \"distilbert\""},
      {with("is_decoder", true), "\"is_decoder\" is true"},
      {with("add_cross_attention", true), "\"add_cross_attention\" is true"},
      {with("pruned_heads", {{"1", {2, 3}}}), "\"pruned_heads\" is {\"1\":[2,3]}"},
      {with("position_embedding_type", "relative_key"), "\"position_embedding_type\" is \"relative_key\""},
      {with("problem_type", "multi_label_classification"), "\"problem_type\" is \"multi_label_classification\""},
      {with("problem_type", "regression"), "\"problem_type\" is \"regression\""},
      {with("hidden_act", "silu"), "\"hidden_act\" is \"silu\", expected one of gelu, gelu_new, relu"},
      {with("hidden_size", "768"), "\"hidden_size\" is \"768\", expected an integer from 1"},
      {with("hidden_size", 0), "\"hidden_size\" is 0"},
      {with("vocab_size", 1e300), "\"vocab_size\" is 1e+300"},
      {with("hidden_size", 770), "hidden size 770 and 12 attention heads"},
      {with("pad_token_id", 30522), "\"pad_token_id\" is 30522, expected an integer from 0 to 30521"},
      {with("hidden_dropout_prob", 1.5), "\"hidden_dropout_prob\" is 1.5, expected a number from 0 to 1"},
      {with("id2label", {{"0", "a"}, {"2", "b"}}), "a name for each of the keys \"0\" to \"1\""},
      {with("id2label", {{"0", "a"}, {"1", "a"}}), "each label once (\"a\" comes again)"},
      {with("id2label", {{"0", "a"}}), "has one label"},
      {with("id2label", json::array({"a", "b"})), "\"id2label\" is [\"a\",\"b\"]"},
      {json::array(), "found array, expected an object"},
      {{{"vocab_size", 100}}, "has neither \"model_type\""},
  };
  for (const auto& [config, expected] : cases) {
    const std::string message = refusal(config);
    EXPECT_NE(message.find(expected), std::string::npos) << config << "\n" << message;
    EXPECT_NE(message.find("config.json: "), std::string::npos) << message;
  }
}

TEST(HfConfig, BrokenJsonNamesThePlace) {
  const std::string message = io::test::error_of([] { read("{\"model_type\": \"bert\",\n  oops}"); });
  EXPECT_NE(message.find("config.json:2:"), std::string::npos) << message;
}

TEST(HfConfig, MissingFileIsNamed) {
  const TemporaryFolder folder;
  const std::string message = io::test::error_of([&] { read_hf_config(folder.path()); });
  EXPECT_NE(message.find("config.json"), std::string::npos) << message;
}

}  // namespace
}  // namespace aid::train
