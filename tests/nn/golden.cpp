#include "tests/nn/golden.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <stdexcept>

#include "kernels/rows/cross_entropy.h"

namespace aid::test {
namespace {

template <class T>
std::vector<T> read(std::istream& file, size_t n) {
  std::vector<T> values(n);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(n * sizeof(T)));
  if (!file) throw std::runtime_error("golden file ends too early; run tests/golden/bert.py");
  return values;
}

}  // namespace

Golden::Golden(const std::string& name) {
  const std::string path = std::string(AID_SOURCE_DIR) + "/tests/golden/bert/" + name + ".bin";
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + " cannot be read; run tests/golden/bert.py");
  while (file.peek() != std::ifstream::traits_type::eof()) {
    const std::vector<char> key = read<char>(file, read<uint32_t>(file, 1)[0]);
    const std::vector<uint32_t> header = read<uint32_t>(file, 2);
    const std::vector<uint32_t> shape = read<uint32_t>(file, header[1]);
    const size_t size = std::accumulate(shape.begin(), shape.end(), size_t{1}, std::multiplies<>());
    const std::string text(key.begin(), key.end());
    if (header[0] == 1) {
      integers_[text] = read<int32_t>(file, size);
    } else {
      floats_[text] = read<float>(file, size);
    }
  }
}

const std::vector<std::string>& Golden::names() {
  static const std::vector<std::string> names = {"bert_h24",      "bert_h40",       "bert_h66",
                                                 "bert_h24_tanh", "distilbert_h66", "distilbert_h24"};
  return names;
}

const std::vector<float>& Golden::floats(const std::string& key) const {
  const auto found = floats_.find(key);
  if (found == floats_.end()) throw std::runtime_error("golden file has no " + key);
  return found->second;
}

const std::vector<int32_t>& Golden::integers(const std::string& key) const {
  const auto found = integers_.find(key);
  if (found == integers_.end()) throw std::runtime_error("golden file has no " + key);
  return found->second;
}

nn::BertConfig Golden::config() const {
  const auto integer = [this](const char* key) { return integers(std::string("config/") + key).at(0); };
  return {.architecture = integer("distilbert") != 0 ? nn::BertConfig::Architecture::distilbert
                                                     : nn::BertConfig::Architecture::bert,
          .vocab_size = integer("vocab_size"),
          .hidden = integer("hidden"),
          .layers = integer("layers"),
          .heads = integer("heads"),
          .intermediate = integer("intermediate"),
          .max_positions = integer("max_positions"),
          .types = integer("types"),
          .labels = integer("labels"),
          .activation = static_cast<Activation>(integer("activation")),
          .layer_norm_eps = number("config/eps"),
          .hidden_dropout = 0,
          .attention_dropout = 0,
          .classifier_dropout = 0,
          .padding_idx = integer("padding"),
          .freeze_positions = integer("frozen") != 0};
}

nn::TokenBatch Golden::batch(int index) const {
  const std::string prefix = "batch/" + std::to_string(index) + "/";
  nn::TokenBatch batch{.ids = integers(prefix + "ids"), .types = integers(prefix + "types"), .cu_seqlens = {0}};
  for (const int32_t length : integers(prefix + "lengths")) {
    batch.sequence_ids.push_back(static_cast<int32_t>(batch.sequence_ids.size()));
    batch.cu_seqlens.push_back(batch.cu_seqlens.back() + length);
  }
  return batch;
}

nn::BertClassifier Golden::model(Stream& s, DType compute, nn::Mode mode, const nn::BertConfig& config) const {
  nn::BertClassifier model(config, compute, mode, s.device());
  for (nn::Parameter& parameter : model.parameters()) {
    const std::vector<float>& value = floats("parameter/" + parameter.name);
    model.set_value(parameter, vector(value.data(), static_cast<int64_t>(value.size())));
  }
  model.update_weights(s);
  return model;
}

nn::TokenBatch pick(const nn::TokenBatch& batch, const std::vector<int>& texts) {
  nn::TokenBatch picked{.cu_seqlens = {0}};
  for (const int text : texts) {
    const auto begin = batch.cu_seqlens[text], end = batch.cu_seqlens[text + 1];
    picked.ids.insert(picked.ids.end(), batch.ids.begin() + begin, batch.ids.begin() + end);
    picked.types.insert(picked.types.end(), batch.types.begin() + begin, batch.types.begin() + end);
    picked.cu_seqlens.push_back(picked.cu_seqlens.back() + end - begin);
    picked.sequence_ids.push_back(batch.sequence_ids[text]);
  }
  return picked;
}

std::vector<float> floats_of(Stream& s, CSpan span) {
  std::vector<float> values(static_cast<size_t>(span.size()));
  s.download(matrix(values.data(), span.rows, span.cols), span);
  s.synchronize();
  return values;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) throw std::runtime_error("arrays of different size");
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
  return std::sqrt(sum);
}

double norm(const std::vector<float>& a) { return distance(a, std::vector<float>(a.size())); }

double largest(const std::vector<float>& values) {
  double most = 0;
  for (const float value : values) most = std::max(most, std::abs(static_cast<double>(value)));
  return most;
}

void expect_near(const std::vector<float>& actual, const std::vector<float>& expected, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], tolerance) << what << " [" << i << "]";
  }
}

Step forward_backward(Stream& s, nn::BertClassifier& model, const nn::TokenBatch& batch,
                      const std::vector<int32_t>& labels, const nn::DropoutKey& dropout, float total) {
  const Span logits = model.forward_training(s, batch, dropout);
  Step step{.loss = 0, .logits = floats_of(s, logits)};
  const Span loss = s.arena().take(DType::f32, 1);
  cross_entropy(s, {.loss = loss,
                    .dlogits = logits,
                    .logits = logits,
                    .labels = s.upload(vector(labels.data(), static_cast<int64_t>(labels.size()))),
                    .total_weight = total});
  model.backward(s, logits);
  step.loss = floats_of(s, loss).front();
  s.release();
  return step;
}

}  // namespace aid::test
