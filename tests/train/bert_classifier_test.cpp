#include "train/model/bert_classifier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/weights/safetensors.h"
#include "tests/io/test_files.h"
#include "train/model/hf_model.h"

namespace aid::train {
namespace {

namespace fs = std::filesystem;
using io::test::contains;
using io::test::error_of;
using io::test::TemporaryFolder;
using nlohmann::json;

const fs::path kGolden = AID_SOURCE_DIR "/tests/golden/hf";

json golden(const std::string& name) { return json::parse(io::read_text(kGolden / (name + ".json"))); }

// A copy of a golden model whose weights and config a test may change.
class ModelCopy {
 public:
  explicit ModelCopy(const std::string& name) : model_(folder_ / "model") {
    fs::copy(kGolden / name, model_);
    const io::Weights weights = io::Weights::open(model_);
    for (const io::TensorView& tensor : weights.tensors()) {
      bytes_[tensor.name].assign(tensor.data.begin(), tensor.data.end());
      tensors_[tensor.name] = {tensor.name, tensor.dtype, tensor.shape, bytes_[tensor.name]};
    }
  }
  const fs::path& path() const { return model_; }

  void rename(const std::string& from, const std::string& to) {
    auto node = tensors_.extract(from);
    node.key() = to;
    node.mapped().name = to;
    tensors_.insert(std::move(node));
  }
  // Every tensor gets the name that `f` makes of its own.
  template <class F>
  void rename_all(F&& f) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors_) names.push_back(name);
    for (const std::string& name : names) rename(name, f(name));
  }
  void remove(const std::string& name) { tensors_.erase(name); }
  void add(const std::string& name, std::vector<int64_t> shape) {
    const auto size = io::byte_size(io::DType::f32, shape).value();
    bytes_[name].assign(size, std::byte{0});
    tensors_[name] = {name, io::DType::f32, std::move(shape), bytes_[name]};
  }
  io::TensorView& at(const std::string& name) { return tensors_.at(name); }
  // Cuts off of every value the digits that `half`, f16 or bf16, does not have; it stays f32.
  void cut_to(io::DType half) {
    for (auto& [name, bytes] : bytes_) {
      for (size_t i = 0; i < bytes.size(); i += 4) {
        uint32_t bits;
        std::memcpy(&bits, &bytes[i], 4);
        bits &= half == io::DType::bf16 ? 0xffff0000u : has_f16_exponent(bits) ? 0xffffe000u : 0x80000000u;
        std::memcpy(&bytes[i], &bits, 4);
      }
    }
  }
  // Of values that were cut to it.
  void store_as(io::DType half) {
    for (auto& [name, tensor] : tensors_) {
      std::vector<std::byte> halves;
      for (size_t i = 0; i < tensor.data.size(); i += 4) {
        uint32_t bits;
        std::memcpy(&bits, &tensor.data[i], 4);
        const uint32_t sign = bits >> 16 & 0x8000u;
        const uint32_t as_f16 = has_f16_exponent(bits) ? sign | ((bits & 0x7fffffffu) - (112u << 23)) >> 13 : sign;
        const auto code = static_cast<uint16_t>(half == io::DType::bf16 ? bits >> 16 : as_f16);
        halves.resize(halves.size() + 2);
        std::memcpy(&halves[halves.size() - 2], &code, 2);
      }
      bytes_[name] = halves;
      tensor.dtype = half;
      tensor.data = bytes_[name];
    }
  }
  void write_weights() const {
    std::vector<io::TensorView> list;
    for (const auto& [name, tensor] : tensors_) list.push_back(tensor);
    io::write_safetensors(model_ / "model.safetensors", list, {{"format", "pt"}});
  }
  // The first half of the tensors in one file, the others in another.
  void write_shards() const {
    std::vector<io::TensorView> lists[2];
    json index;
    for (const auto& [name, tensor] : tensors_) {
      const bool second = lists[0].size() >= tensors_.size() / 2;
      lists[second].push_back(tensor);
      index["weight_map"][name] = second ? "model-00002-of-00002.safetensors" : "model-00001-of-00002.safetensors";
    }
    io::write_safetensors(model_ / "model-00001-of-00002.safetensors", lists[0], {{"format", "pt"}});
    io::write_safetensors(model_ / "model-00002-of-00002.safetensors", lists[1], {{"format", "pt"}});
    io::test::put(model_ / "model.safetensors.index.json", index.dump());
    fs::remove(model_ / "model.safetensors");
  }
  void change_config(const char* key, const json& value) const {
    json config = json::parse(io::read_text(model_ / "config.json"));
    config[key] = value;
    io::test::put(model_ / "config.json", config.dump());
  }

 private:
  // 2^-14 and more: what is less is none of f16's normal numbers.
  static bool has_f16_exponent(uint32_t bits) { return (bits & 0x7fffffffu) >= 113u << 23; }

  TemporaryFolder folder_;
  fs::path model_;
  std::map<std::string, std::vector<std::byte>> bytes_;
  std::map<std::string, io::TensorView> tensors_;
};

// Scores of the texts, each from a file of its own.
std::vector<std::vector<float>> scores(Classifier& classifier, const std::vector<std::string>& texts) {
  const TemporaryFolder folder;
  std::vector<fs::path> files;
  for (size_t i = 0; i < texts.size(); ++i) {
    files.push_back(folder / (std::to_string(i) + ".txt"));
    io::test::put(files.back(), texts[i]);
  }
  std::vector<std::vector<float>> result;
  classifier.classify(files, [&](size_t file, const Verdict& verdict) {
    EXPECT_EQ(file, result.size()) << "verdicts come in the order of the files";
    EXPECT_EQ(verdict.error, "");
    result.push_back(verdict.scores);
    return true;
  });
  return result;
}

std::vector<float> softmax(const std::vector<double>& logits) {
  double sum = 0;
  std::vector<float> result;
  for (const double x : logits) sum += std::exp(x);
  for (const double x : logits) result.push_back(static_cast<float>(std::exp(x) / sum));
  return result;
}

OpenOptions options(Precision precision = Precision::f32) { return {.stream = {.threads = 2}, .precision = precision}; }

std::vector<std::string> golden_texts(const json& all) {
  std::vector<std::string> texts;
  for (const json& c : all["cases"]) {
    if (!c["text"].get<std::string>().empty()) texts.push_back(c["text"]);  // a blank file is none to classify
  }
  return texts;
}

void expect_golden(Classifier& classifier, const json& all, const char* policy, float tolerance) {
  const auto found = scores(classifier, golden_texts(all));
  size_t i = 0;
  for (const json& c : all["cases"]) {
    if (c["text"].get<std::string>().empty()) continue;
    const auto expected = softmax(c[policy].get<std::vector<double>>());
    ASSERT_LT(i, found.size());
    for (size_t k = 0; k < expected.size(); ++k)
      EXPECT_NEAR(found[i][k], expected[k], tolerance) << c["text"] << " " << k;
    ++i;
  }
  EXPECT_EQ(i, found.size());
}

class GoldenModel : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(HuggingFace, GoldenModel, testing::Values("bert", "distilbert"),
                         [](const auto& test) { return test.param; });

// Probabilities: f32's error of two tiny layers is some 1e-6; bf16 has 8 bits, and logits here reach 5.
TEST_P(GoldenModel, ScoresAreTransformers) {
  const json all = golden(GetParam());
  const auto f32 = open_classifier(kGolden / GetParam(), options());
  EXPECT_EQ(f32->labels(), all["labels"].get<std::vector<std::string>>());
  EXPECT_EQ(f32->kind(), std::string(GetParam()) == "bert" ? "beto" : "distilbeto");
  EXPECT_TRUE(f32->notes().empty());
  expect_golden(*f32, all, "head", 1e-5f);
  const auto bf16 = open_classifier(kGolden / GetParam(), options(Precision::bf16));
  expect_golden(*bf16, all, "head", 0.03f);
}

TEST_P(GoldenModel, WindowsPoolTheirLogits) {
  const json all = golden(GetParam());
  OpenOptions open = options();
  open.long_policy = LongPolicy::windows;
  open.stride = all["stride"];
  expect_golden(*open_classifier(kGolden / GetParam(), open), all, "windows", 1e-5f);
}

// The weights under every name that checkpoints give them.
TEST_P(GoldenModel, OtherNamesAreTheSameWeights) {
  const json all = golden(GetParam());
  ModelCopy bare(GetParam());
  const std::string prefix = std::string(GetParam()) + ".";
  bare.rename_all(
      [&](const std::string& name) { return name.starts_with(prefix) ? name.substr(prefix.size()) : name; });
  bare.write_weights();
  expect_golden(*open_classifier(bare.path(), options()), all, "head", 1e-5f);

  ModelCopy old(GetParam());
  old.rename_all([](std::string name) {
    if (name.ends_with("LayerNorm.weight")) name.replace(name.size() - 6, 6, "gamma");
    if (name.ends_with("LayerNorm.bias")) name.replace(name.size() - 4, 4, "beta");
    return name;
  });
  old.add(prefix + "embeddings.position_ids", {1, 32});
  old.write_weights();
  const auto classifier = open_classifier(old.path(), options());
  EXPECT_TRUE(classifier->notes().empty()) << "position_ids hold nothing worth telling";
  expect_golden(*classifier, all, "head", 1e-5f);
}

// Bit for bit what an f32 file of the same values gives.
TEST_P(GoldenModel, HalfPrecisionFilesAreRead) {
  const json all = golden(GetParam());
  const auto texts = golden_texts(all);
  for (const io::DType half : {io::DType::f16, io::DType::bf16}) {
    SCOPED_TRACE(io::dtype_name(half));
    ModelCopy model(GetParam());
    model.cut_to(half);
    model.write_weights();
    const auto whole = open_classifier(model.path(), options()),
               whole_bf16 = open_classifier(model.path(), options(Precision::bf16));
    const auto expected = scores(*whole, texts), expected_bf16 = scores(*whole_bf16, texts);
    model.store_as(half);
    model.write_weights();
    EXPECT_EQ(io::Weights::open(model.path()).tensors().front().dtype, half);
    const auto read = open_classifier(model.path(), options());
    EXPECT_EQ(scores(*read, texts), expected);
    EXPECT_EQ(scores(*open_classifier(model.path(), options(Precision::bf16)), texts), expected_bf16);
    expect_golden(*read, all, "head", half == io::DType::f16 ? 0.005f : 0.04f);
  }
}

// In two files and an index, as large models are saved.
TEST_P(GoldenModel, ShardsAreOneModel) {
  const json all = golden(GetParam());
  ModelCopy sharded(GetParam());
  sharded.write_shards();
  const auto classifier = open_classifier(sharded.path(), options());
  EXPECT_TRUE(classifier->notes().empty());
  expect_golden(*classifier, all, "head", 1e-5f);
  fs::remove(sharded.path() / "model-00002-of-00002.safetensors");
  EXPECT_TRUE(contains(error_of([&] { open_classifier(sharded.path(), options()); }),
                       "model-00002-of-00002.safetensors': No such file"));
}

TEST_P(GoldenModel, WhatIsWrittenIsTheSameModel) {
  const TemporaryFolder folder;
  HfModel model = open_for_inference(kGolden / GetParam(), DType::f32);
  const auto tokenizer = tokenizer::Tokenizer::load(kGolden / GetParam());
  write_hf_model(folder.path(), model.config, model.network.parameters(), tokenizer);
  const auto written = open_classifier(folder.path(), options());
  const auto original = open_classifier(kGolden / GetParam(), options());
  const auto texts = golden_texts(golden(GetParam()));
  EXPECT_EQ(scores(*written, texts), scores(*original, texts));
}

TEST_P(GoldenModel, TrainingStartsFromTheSameValues) {
  HfModel model = open_for_training(kGolden / GetParam(), {.labels = golden(GetParam())["labels"], .seed = 1});
  EXPECT_TRUE(model.notes.empty());
  const io::Weights weights = io::Weights::open(kGolden / GetParam());
  for (const nn::Parameter& parameter : model.network.parameters()) {
    const io::TensorView* tensor = weights.find(parameter.name);
    ASSERT_NE(tensor, nullptr) << parameter.name;
    EXPECT_EQ(std::memcmp(tensor->data.data(), parameter.value.data, tensor->data.size()), 0) << parameter.name;
  }
}

// A checkpoint of masked language modelling has neither pooler nor head, and one of its own.
TEST(HfModel, PretrainedCheckpointsStartTraining) {
  ModelCopy mlm("bert");
  for (const char* name :
       {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"})
    mlm.remove(name);
  mlm.add("cls.predictions.bias", {118});
  mlm.write_weights();
  const HfModel model = open_for_training(mlm.path(), {.labels = {"a", "b"}, .seed = 7});
  ASSERT_EQ(model.notes.size(), 2u);
  EXPECT_EQ(model.notes[0], "left out (heads of other tasks): cls.predictions.bias");
  EXPECT_TRUE(contains(
      model.notes[1],
      "start from random values (seed 7): bert.pooler.dense.weight, bert.pooler.dense.bias, classifier.weight"));

  const std::string message = error_of([&] { open_for_inference(mlm.path(), DType::f32); });
  EXPECT_TRUE(contains(message, "missing: bert.pooler.dense.weight"));
  EXPECT_TRUE(contains(message, "missing: classifier.bias"));
  EXPECT_TRUE(contains(message, "fine-tune it first"));
}

TEST(HfModel, AHeadForOtherLabelsIsDrawnAnew) {
  const HfModel model = open_for_training(kGolden / "bert", {.labels = {"a", "b", "c", "d"}, .seed = 7});
  ASSERT_EQ(model.notes.size(), 1u);
  EXPECT_EQ(model.notes[0], "start from random values (seed 7): classifier.weight, classifier.bias");
  EXPECT_EQ(model.config.labels.size(), 4u);
  EXPECT_EQ(model.config.model.labels, 4);
}

TEST(HfModel, FromScratchNeedsNoWeights) {
  ModelCopy scratch("distilbert");
  fs::remove(scratch.path() / "model.safetensors");
  scratch.change_config("sinusoidal_pos_embds", true);
  HfModel model =
      open_for_training(scratch.path(), {.labels = {"a", "b"}, .seed = 3, .from = TrainingStart::From::scratch});
  for (const nn::Parameter& parameter : model.network.parameters()) {
    if (!parameter.name.ends_with("position_embeddings.weight")) continue;
    const float* table = static_cast<const float*>(parameter.value.data);  // [32, 24]
    EXPECT_EQ(table[0], 0.0f);
    EXPECT_EQ(table[1], 1.0f);
    EXPECT_FLOAT_EQ(table[5 * 24 + 6], static_cast<float>(std::sin(5 / std::pow(10000.0, 6.0 / 24))));
    EXPECT_FLOAT_EQ(table[5 * 24 + 7], static_cast<float>(std::cos(5 / std::pow(10000.0, 6.0 / 24))));
  }
}

TEST(HfModel, EverythingWrongIsListedAtOnce) {
  ModelCopy broken("bert");
  broken.remove("bert.encoder.layer.0.intermediate.dense.bias");
  broken.rename("bert.encoder.layer.1.output.dense.bias", "bert.encoder.layer.1.output.dense.offset");
  broken.add("bert.embeddings.LayerNorm.gamma", {24});  // beside .weight
  broken.at("bert.pooler.dense.weight").shape = {12, 48};
  broken.write_weights();
  const std::string message = error_of([&] { open_for_inference(broken.path(), DType::f32); });
  EXPECT_TRUE(contains(message, "model.safetensors does not hold the classifier that "));
  EXPECT_TRUE(contains(message, "twice: bert.embeddings.LayerNorm.gamma and bert.embeddings.LayerNorm.weight"));
  EXPECT_TRUE(contains(message, "missing: bert.encoder.layer.0.intermediate.dense.bias"));
  EXPECT_TRUE(contains(message, "missing: bert.encoder.layer.1.output.dense.bias"));
  EXPECT_TRUE(contains(message, "spare: bert.encoder.layer.1.output.dense.offset [24]"));
  EXPECT_TRUE(contains(message, "shape: bert.pooler.dense.weight is [12, 48], config.json makes it [24, 24]"));
}

TEST(HfModel, AConfigThatContradictsTheWeightsIsTold) {
  ModelCopy contradicting("bert");
  contradicting.change_config("vocab_size", 200);
  contradicting.change_config("num_hidden_layers", 3);
  const std::string message = error_of([&] { open_for_inference(contradicting.path(), DType::f32); });
  EXPECT_TRUE(contains(message, "config.json says 3 layers, the weights hold 2"));
  EXPECT_TRUE(
      contains(message, "shape: bert.embeddings.word_embeddings.weight is [118, 24], config.json makes it [200, 24]"));
  EXPECT_TRUE(contains(message, "missing: bert.encoder.layer.2.attention.self.query.weight"));
}

TEST(HfModel, ATokenizerWithMoreTokensThanTheModelIsRefused) {
  ModelCopy odd("bert");
  const std::string vocab = io::read_text(odd.path() / "vocab.txt");
  fs::remove(odd.path() / "tokenizer.json");
  io::test::put(odd.path() / "vocab.txt", vocab + "sobra\n");
  const std::string message = error_of([&] { open_classifier(odd.path(), options()); });
  EXPECT_TRUE(contains(message, "the tokenizer has 119 tokens, config.json and the weights 118"));
}

TEST(BertClassifier, UnreadableFilesAreVerdictsToo) {
  const TemporaryFolder folder;
  io::test::put(folder / "a.txt", "la ley");
  io::test::put(folder / "b.txt", std::string("\x7f"
                                              "ELF\0\0\1\2",
                                              8));
  io::test::put(folder / "c.txt", " \n ");
  io::test::put(folder / "d.txt",
                "art\xed"
                "culo");  // Windows-1252
  io::test::put(folder / "e.txt", "artículo");
  const std::vector<fs::path> files = {folder / "a.txt", folder / "b.txt", folder / "c.txt",
                                       folder / "d.txt", folder / "e.txt", folder / "f.txt"};
  const auto classifier = open_classifier(kGolden / "bert", options());
  std::vector<Verdict> verdicts;
  classifier->classify(files, [&](size_t, const Verdict& verdict) {
    verdicts.push_back(verdict);
    return true;
  });
  ASSERT_EQ(verdicts.size(), 6u);
  EXPECT_EQ(verdicts[0].scores.size(), 3u);
  EXPECT_TRUE(verdicts[1].scores.empty());
  EXPECT_NE(verdicts[1].error, "");
  EXPECT_TRUE(verdicts[2].scores.empty());
  EXPECT_EQ(verdicts[3].notes, std::vector<std::string>{"read as Windows-1252"});
  EXPECT_EQ(verdicts[3].scores, verdicts[4].scores);
  EXPECT_TRUE(verdicts[5].scores.empty());
}

// The same text has the same bits, whatever batches it is in and however many threads compute them.
TEST(BertClassifier, VerdictsDependOnNothingElse) {
  std::vector<std::string> texts = golden_texts(golden("bert"));
  const auto classifier = open_classifier(kGolden / "bert", options());
  std::vector<std::vector<float>> alone;
  for (const std::string& text : texts) alone.push_back(scores(*classifier, {text}).front());
  std::vector<std::string> many;  // several batches
  std::vector<std::vector<float>> expected;
  for (int i = 0; i < 400; ++i) {
    many.push_back(texts[static_cast<size_t>(i * 7) % texts.size()]);
    expected.push_back(alone[static_cast<size_t>(i * 7) % texts.size()]);
  }
  EXPECT_EQ(scores(*classifier, many), expected);
  OpenOptions one_thread = options();
  one_thread.stream.threads = 1;
  EXPECT_EQ(scores(*open_classifier(kGolden / "bert", one_thread), many), expected);
}

TEST(BertClassifier, StopsWhenTheSinkHasEnough) {
  const TemporaryFolder folder;
  io::test::put(folder / "a.txt", "la ley");
  const std::vector<fs::path> files(50, folder / "a.txt");
  const auto classifier = open_classifier(kGolden / "bert", options());
  size_t told = 0;
  classifier->classify(files, [&](size_t, const Verdict&) { return ++told < 3; });
  EXPECT_EQ(told, 3u);
}

TEST(BertClassifier, MoreTokensThanPositionsAreRefused) {
  OpenOptions open = options();
  open.max_length = 33;
  EXPECT_TRUE(contains(error_of([&] { open_classifier(kGolden / "bert", open); }), "has 32 positions"));
}

}  // namespace
}  // namespace aid::train
