// A BERT or DistilBERT classifier in a Hugging Face directory: config.json, weights and tokenizer files, in and out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/weights/weights.h"
#include "kernels/core/buffer.h"
#include "nn/bert.h"
#include "tokenizer/tokenizer.h"
#include "train/model/hf_config.h"

namespace aid::train {

struct HfModel {
  HfConfig config;
  std::vector<std::string> notes;  // for the user: what in the file was left out, what starts from random values
  io::Weights weights;             // inference on the CPU: the network's parameters are these mapped tensors...
  std::vector<Tensor> converted;   // ...or these f32 copies of f16 and bf16 ones
  nn::BertClassifier network;      // its update_weights() is still to be called
};

// Both match tensors with parameters by name: with and without the "bert." or "distilbert." in front, LayerNorm.gamma
// and .beta for its weight and bias; position_ids and the heads of the pre-training tasks (cls.*, vocab_*) are left
// out. Tensors missing, spare, of another shape or type, and a config that contradicts the weights make one io::Error
// that lists all of them.
HfModel open_for_inference(const std::filesystem::path& folder, DType compute, Device device = Device::cpu);

struct TrainingStart {
  std::vector<std::string> labels;
  DType compute = DType::f32;
  Device device = Device::cpu;
  uint64_t seed = 0;
  enum class From : uint8_t { weights, scratch } from = From::weights;  // scratch: config.json only, all random
};
// Pooler and head are drawn anew where the file has none, and the head where it was made for other labels.
HfModel open_for_training(const std::filesystem::path& folder, const TrainingStart& start);

// Throws io::Error where the tokenizer has ids that the model has no embedding for.
void check_vocabulary(const std::filesystem::path& folder, const HfConfig& config,
                      const tokenizer::Tokenizer& tokenizer);

// Writes config.json, model.safetensors (f32) and the tokenizer's files into an existing folder (an AtomicDirectory's),
// so that AutoModelForSequenceClassification and AutoTokenizer open it with the same logits.
void write_hf_model(const std::filesystem::path& folder, const HfConfig& config,
                    std::span<const nn::Parameter> parameters, const tokenizer::Tokenizer& tokenizer);

}  // namespace aid::train
