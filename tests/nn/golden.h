// Reads the files that tests/golden/bert.py writes, and makes models and batches of them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nn/bert.h"

namespace aid::test {

class Golden {
 public:
  explicit Golden(const std::string& name);  // "bert_h24"

  static const std::vector<std::string>& names();

  const std::vector<float>& floats(const std::string& key) const;
  const std::vector<int32_t>& integers(const std::string& key) const;
  float number(const std::string& key) const { return floats(key).at(0); }
  bool has(const std::string& key) const { return floats_.contains(key); }

  nn::BertConfig config() const;  // dropout off
  nn::TokenBatch batch(int index) const;
  const std::vector<int32_t>& labels(int index) const { return integers("batch/" + std::to_string(index) + "/labels"); }

  // With the file's weights. The model of Mode::inference refers to this object's memory.
  nn::BertClassifier model(Stream& s, DType compute, nn::Mode mode, const nn::BertConfig& config) const;
  nn::BertClassifier model(Stream& s, DType compute, nn::Mode mode) const { return model(s, compute, mode, config()); }

 private:
  std::map<std::string, std::vector<float>> floats_;
  std::map<std::string, std::vector<int32_t>> integers_;
};

// Texts `texts` of a batch, in that order.
nn::TokenBatch pick(const nn::TokenBatch& batch, const std::vector<int>& texts);

std::vector<float> floats_of(Stream& s, CSpan span);  // f32

// sqrt(sum (a - b)²) and sqrt(sum a²)
double distance(const std::vector<float>& a, const std::vector<float>& b);
double norm(const std::vector<float>& a);

double largest(const std::vector<float>& values);  // of their absolute values
// |actual - expected| <= tolerance for every element.
void expect_near(const std::vector<float>& actual, const std::vector<float>& expected, double tolerance,
                 const std::string& what);

struct Step {
  float loss;
  std::vector<float> logits;
};
// Forward, mean cross-entropy and backward. The denominator of the mean is the number of texts, or `total`.
Step forward_backward(Stream& s, nn::BertClassifier& model, const nn::TokenBatch& batch,
                      const std::vector<int32_t>& labels, const nn::DropoutKey& dropout = nn::kNoDropout,
                      float total = 0);

}  // namespace aid::test
