#include "train/model/hf_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "io/error.h"
#include "io/weights/safetensors.h"
#include "train/model/host_bytes.h"

namespace aid::train {
namespace {

using Architecture = nn::BertConfig::Architecture;

const char* prefix_of(Architecture architecture) {
  return architecture == Architecture::bert ? "bert." : "distilbert.";
}

bool is_head(std::string_view name) { return name.starts_with("classifier."); }
// What masked-language-model checkpoints lack: they are trained without it.
bool is_new_in_classifiers(std::string_view name) {
  return is_head(name) || name.starts_with("pre_classifier.") || name.starts_with("bert.pooler.");
}
// Tensors of a checkpoint that a classifier does not use: heads of the pre-training tasks and of question answering,
// and a buffer that counts 0, 1, 2...
bool is_left_out(std::string_view name) {
  for (const char* head : {"cls.", "vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "qa_outputs."}) {
    if (name.starts_with(head)) return true;
  }
  return name == "position_ids" || name.ends_with(".position_ids");
}

// The parameter that a tensor of a checkpoint is for: checkpoints of a bare encoder lack the architecture's prefix, and
// those converted from TensorFlow call LayerNorm's weight gamma and its bias beta.
std::string parameter_name(std::string name, Architecture architecture) {
  const std::string prefix = prefix_of(architecture);
  if (!name.starts_with(prefix) && !is_head(name) && !name.starts_with("pre_classifier.")) name = prefix + name;
  for (const auto& [old, now] :
       {std::pair("LayerNorm.gamma", "LayerNorm.weight"), {"LayerNorm.beta", "LayerNorm.bias"}}) {
    if (name.ends_with(old)) name.replace(name.size() - std::strlen(old), std::string::npos, now);
  }
  return name;
}

// The number of the layer that the parameter belongs to, or -1: "bert.encoder.layer.7.output.dense.bias" -> 7.
int64_t layer_of(std::string_view name) {
  constexpr std::string_view kMark = ".layer.";
  const size_t mark = name.find(kMark);
  if (mark == std::string_view::npos) return -1;
  int64_t layer = -1;
  for (const char c : name.substr(mark + kMark.size())) {
    if (c < '0' || c > '9' || layer > 1'000'000) break;
    layer = std::max<int64_t>(layer, 0) * 10 + (c - '0');
  }
  return layer;
}

bool is_floating(io::DType dtype) {
  using enum io::DType;
  return dtype == f32 || dtype == f16 || dtype == bf16 || dtype == f64;
}

// The tensors of a checkpoint by parameter name, and everything that is wrong with them.
class Matching {
 public:
  Matching(const io::Weights& weights, const HfConfig& config, std::span<const nn::Parameter> parameters)
      : architecture_(config.model.architecture) {
    for (const io::TensorView& tensor : weights.tensors()) {
      if (is_left_out(tensor.name)) {
        if (!tensor.name.ends_with("position_ids")) left_out_.push_back(tensor.name);
        continue;
      }
      const auto [place, added] = tensors_.emplace(parameter_name(tensor.name, architecture_), &tensor);
      if (!added)
        problems_.push_back("twice: " + place->second->name + " and " + tensor.name + " are the same parameter");
    }
    check_layers(config);
    for (const nn::Parameter& parameter : parameters) check(parameter);
    for (const auto& [name, tensor] : tensors_) {
      if (!wanted_.contains(name)) problems_.push_back("spare: " + tensor->name + " " + io::shape_text(tensor->shape));
    }
  }

  // Pooler and head may be missing.
  void allow_missing_head() { std::erase_if(missing_, is_new_in_classifiers); }
  // The head of other labels does not count.
  void forget_head() {
    std::erase_if(tensors_, [](const auto& entry) { return is_head(entry.first); });
    std::erase_if(shapes_, [](const auto& entry) { return is_head(entry.first); });
  }

  const io::TensorView* find(const std::string& name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : found->second;
  }
  const std::vector<std::string>& left_out() const { return left_out_; }

  void throw_if_wrong(const std::filesystem::path& folder, const io::Weights& weights) const {
    std::vector<std::string> lines = problems_;
    for (const auto& [name, problem] : shapes_) lines.push_back(problem);
    for (const std::string& name : missing_) lines.push_back("missing: " + name);
    if (lines.empty()) return;
    std::string message = weights.files().front().string() + " does not hold the classifier that " +
                          (folder / "config.json").string() + " describes:";
    for (const std::string& line : lines) message += "\n  " + line;
    if (std::any_of(missing_.begin(), missing_.end(), is_head)) {
      message += "\nWithout classifier.* this is a pretrained model: fine-tune it first (aid train --model)";
    }
    throw io::Error(message);
  }

 private:
  void check_layers(const HfConfig& config) {
    int64_t layers = 0;
    for (const auto& [name, tensor] : tensors_) layers = std::max(layers, layer_of(name) + 1);
    if (layers == config.model.layers) return;
    problems_.push_back("config.json says " + std::to_string(config.model.layers) + " layers, the weights hold " +
                        std::to_string(layers));
  }

  void check(const nn::Parameter& parameter) {
    wanted_.insert(parameter.name);
    const io::TensorView* tensor = find(parameter.name);
    if (tensor == nullptr) {
      missing_.push_back(parameter.name);
    } else if (tensor->shape != parameter.shape) {
      shapes_.emplace(parameter.name, "shape: " + tensor->name + " is " + io::shape_text(tensor->shape) +
                                          ", config.json makes it " + io::shape_text(parameter.shape));
    } else if (!is_floating(tensor->dtype)) {
      problems_.push_back("type: " + tensor->name + " is " + std::string(io::dtype_name(tensor->dtype)) +
                          ", expected F32, F16, BF16 or F64");
    }
  }

  Architecture architecture_;
  std::map<std::string, const io::TensorView*> tensors_;
  std::set<std::string> wanted_;
  std::vector<std::string> problems_, missing_, left_out_;
  std::map<std::string, std::string> shapes_;  // by parameter: what is wrong with its shape
};

// The tensor's values as f32: themselves where they can be used in place, else a copy.
CSpan values_of(const io::TensorView& tensor, std::vector<Tensor>& converted) {
  const auto count = static_cast<int64_t>(tensor.data.size() / io::dtype_size(tensor.dtype));
  if (tensor.dtype == io::DType::f32 && reinterpret_cast<uintptr_t>(tensor.data.data()) % alignof(float) == 0) {
    return vector(reinterpret_cast<const float*>(tensor.data.data()), count);
  }
  Tensor copy(DType::f32, 1, count);
  io::convert_to_f32(tensor, {copy.span().as<float>(), static_cast<size_t>(count)});
  converted.push_back(std::move(copy));
  return converted.back();
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void note_left_out(const Matching& matching, std::vector<std::string>& notes) {
  if (matching.left_out().empty()) return;
  notes.push_back("left out (heads of other tasks): " + listed(matching.left_out()));
}

// table[p, 2i] = sin(p / 10000^(2i / dim)), table[p, 2i + 1] = cos(the same): Vaswani et al. 2017, as DistilBERT's.
void fill_sinusoidal(nn::BertClassifier& network, nn::Parameter& table) {
  const int64_t positions = table.shape.at(0), dim = table.shape.at(1);
  Tensor values(DType::f32, 1, positions * dim);
  float* out = values.span().as<float>();
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t j = 0; j < dim; ++j) {
      const int64_t even = j - j % 2;
      const double angle =
          static_cast<double>(p) / std::pow(10000.0, static_cast<double>(even) / static_cast<double>(dim));
      out[p * dim + j] = static_cast<float>(j % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
  network.set_value(table, values);
}

}  // namespace

HfModel open_for_inference(const std::filesystem::path& folder, DType compute, Device device) {
  HfConfig config = read_hf_config(folder);
  HfModel model{.network = nn::BertClassifier(config.model, compute, nn::BertClassifier::Mode::inference, device)};
  model.weights = io::Weights::open(folder);
  const Matching matching(model.weights, config, model.network.parameters());
  matching.throw_if_wrong(folder, model.weights);
  note_left_out(matching, model.notes);
  for (nn::Parameter& parameter : model.network.parameters()) {
    model.network.set_value(parameter, values_of(*matching.find(parameter.name), model.converted));
  }
  if (device == Device::cuda) {  // the network has its own copies
    model.weights = {};
    model.converted.clear();
  }
  model.config = std::move(config);
  return model;
}

HfModel open_for_training(const std::filesystem::path& folder, const TrainingStart& start) {
  HfConfig config = read_hf_config(folder);
  const bool same_labels = config.labels == start.labels;
  config.labels = start.labels;
  config.model.labels = static_cast<int64_t>(start.labels.size());
  HfModel model{.network =
                    nn::BertClassifier(config.model, start.compute, nn::BertClassifier::Mode::training, start.device)};
  model.config = config;
  std::optional<Matching> matching;
  if (start.from == TrainingStart::From::weights) {
    model.weights = io::Weights::open(folder);
    matching.emplace(model.weights, config, model.network.parameters());
    matching->allow_missing_head();
    if (!same_labels) matching->forget_head();
    matching->throw_if_wrong(folder, model.weights);
    note_left_out(*matching, model.notes);
  }
  std::vector<std::string> drawn;
  for (nn::Parameter& parameter : model.network.parameters()) {
    const io::TensorView* tensor = matching ? matching->find(parameter.name) : nullptr;
    if (tensor != nullptr) {
      std::vector<Tensor> copy;
      model.network.set_value(parameter, values_of(*tensor, copy));
      continue;
    }
    drawn.push_back(parameter.name);
    if (config.sinusoidal_positions && parameter.name.ends_with("position_embeddings.weight")) {
      fill_sinusoidal(model.network, parameter);
    } else {
      model.network.initialise(parameter, start.seed);
    }
  }
  if (!matching) {
    model.notes.push_back("all weights start from random values (seed " + std::to_string(start.seed) + ")");
  } else if (!drawn.empty()) {
    model.notes.push_back("start from random values (seed " + std::to_string(start.seed) + "): " + listed(drawn));
  }
  model.weights = {};  // the network has its own copies
  return model;
}

void check_vocabulary(const std::filesystem::path& folder, const HfConfig& config,
                      const tokenizer::Tokenizer& tokenizer) {
  const auto tokens = static_cast<int64_t>(tokenizer.vocab_size());
  if (tokens <= config.model.vocab_size) return;
  throw io::Error(folder.string() + ": the tokenizer has " + std::to_string(tokens) +
                  " tokens, config.json and the weights " + std::to_string(config.model.vocab_size) +
                  "; expected the tokenizer that the model was trained with");
}

void write_hf_model(const std::filesystem::path& folder, const HfConfig& config,
                    std::span<const nn::Parameter> parameters, const tokenizer::Tokenizer& tokenizer) {
  io::write_atomically(folder / "config.json", hf_config_json(config));
  std::vector<Tensor> copies;
  std::vector<io::TensorView> tensors;
  for (const nn::Parameter& parameter : parameters) {
    tensors.push_back({.name = parameter.name,
                       .dtype = io::DType::f32,
                       .shape = parameter.shape,
                       .data = host_bytes(parameter.value, copies)});
  }
  io::write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  tokenizer.save(folder);
}

}  // namespace aid::train
