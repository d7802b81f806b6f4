// A classifier so small that it trains in milliseconds, texts that it can learn, and runs over them.
#pragma once

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "io/file.h"
#include "io/weights/safetensors.h"
#include "kernels/core/philox.h"
#include "train/loop/trainer.h"
#include "train/model/host_bytes.h"

namespace aid::train::test {

constexpr int kClasses = 3, kVocabulary = 40;
inline const std::vector<std::string> kLabels{"acta", "ley", "oficio"};

// Every class prefers a third of the vocabulary. At most: `windows` sequences of a text, `words` of a sequence.
inline LabelledTexts tiny_texts(int texts, uint32_t seed, int windows = 1, int words = 20) {
  LabelledTexts data;
  const auto draw = [&](uint32_t text, uint32_t place, uint32_t n) {
    return static_cast<int32_t>(philox::block({text, place, 77, 0}, seed)[0] % n);
  };
  for (uint32_t t = 0; t < static_cast<uint32_t>(texts); ++t) {
    const int32_t label = draw(t, 0, kClasses);
    const int32_t sequences = 1 + draw(t, 1, static_cast<uint32_t>(windows));
    for (int32_t w = 0; w < sequences; ++w) {
      data.texts.ids.push_back(2);
      const int32_t length = 1 + draw(t, 100u * static_cast<uint32_t>(w) + 2, static_cast<uint32_t>(words));
      for (int32_t i = 0; i < length; ++i) {
        const uint32_t place = 100u * static_cast<uint32_t>(w + 1) + 3u * static_cast<uint32_t>(i);
        const bool own = draw(t, place, 10) < 6;
        data.texts.ids.push_back(4 + (own ? 12 * label + draw(t, place + 1, 12) : draw(t, place + 2, 36)));
      }
      data.texts.ids.push_back(3);
      data.texts.sequence_begin.push_back(static_cast<int64_t>(data.texts.ids.size()));
    }
    data.texts.first_sequence.push_back(data.texts.sequences());
    data.labels.push_back(label);
  }
  return data;
}

using Architecture = nn::BertConfig::Architecture;

inline nn::BertClassifier tiny_network(DType compute = DType::f32, Device device = Device::cpu,
                                       Architecture architecture = Architecture::bert) {
  const nn::BertConfig config{.architecture = architecture,
                              .vocab_size = kVocabulary,
                              .hidden = 32,
                              .layers = 2,
                              .heads = 2,
                              .intermediate = 48,
                              .max_positions = 24,
                              .types = architecture == Architecture::bert ? 2 : 0,
                              .labels = kClasses,
                              .padding_idx = 1,
                              .initializer_range = 0.1f};
  nn::BertClassifier network(config, compute, nn::BertClassifier::Mode::training, device);
  for (nn::Parameter& parameter : network.parameters()) network.initialise(parameter, 5);
  return network;
}

// One process's share of a run: everything new but what the folder holds.
struct TinyRun {
  std::filesystem::path folder;
  Recipe recipe{.epochs = 2, .lr = 2e-3, .batch_size = 16};
  int threads = 1;
  Target target = default_target();
  DType compute = DType::f32;
  Architecture architecture = Architecture::bert;
  bool deterministic = false;
  bool graphs = true;
  int texts = 48, windows = 1, words = 20;
  int64_t save_every = 0, keep_checkpoints = 1, tokens_per_pass = 100;
  std::function<bool()> stop_requested = [] { return false; };
  std::function<void(nn::BertClassifier&)> change_network = [](nn::BertClassifier&) {};

  struct Result {
    Trainer::Outcome outcome;
    TrainingState state;
    int64_t total_steps;
  };
  Result run(bool resume = false) const {
    Stream stream({.threads = threads, .target = target, .deterministic = deterministic, .graphs = graphs});
    nn::BertClassifier network = tiny_network(compute, stream.device(), architecture);
    change_network(network);
    const LabelledTexts train = tiny_texts(texts, 1, windows, words), val = tiny_texts(30, 2, windows, words);
    std::filesystem::create_directories(folder);
    const Checkpoints checkpoints(folder, fields_of(recipe));
    Progress progress(Progress::Style::quiet);
    Trainer trainer({.stream = stream,
                     .network = network,
                     .train = train,
                     .val = val,
                     .labels = kLabels,
                     .recipe = recipe,
                     .checkpoints = checkpoints,
                     .save_every = save_every,
                     .keep_checkpoints = keep_checkpoints,
                     .tokens_per_pass = tokens_per_pass,
                     .write_model =
                         [&](const std::filesystem::path& out, const TrainingState::Best&, const Metrics& metrics) {
                           write_parameters(out / "model.safetensors", network.parameters());
                           io::write_atomically(out / "validation.json", to_json(metrics));
                         },
                     .progress = progress,
                     .stop_requested = stop_requested});
    if (resume) trainer.resume();
    const Trainer::Outcome outcome = trainer.run();
    return {outcome, trainer.state(), trainer.total_steps()};
  }

  static void write_parameters(const std::filesystem::path& file, std::span<const nn::Parameter> parameters) {
    std::vector<Tensor> copies;
    std::vector<io::TensorView> tensors;
    for (const nn::Parameter& parameter : parameters) {
      tensors.push_back({parameter.name, io::DType::f32, parameter.shape, host_bytes(parameter.value, copies)});
    }
    io::write_safetensors(file, tensors, {});
  }
};

// Every file of the best models and checkpoints below a run's folder, by its path there.
inline std::map<std::string, std::string> files_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string name = std::filesystem::relative(entry.path(), folder).string();
    if (entry.is_regular_file() && name != "log.csv") files[name] = io::read_text(entry.path());
  }
  return files;
}

// Names of the files that only one of two folders has, or that differ.
inline std::vector<std::string> differences(const std::map<std::string, std::string>& a,
                                            const std::map<std::string, std::string>& b) {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : a) {
    if (!b.contains(name) || b.at(name) != bytes) names.push_back(name);
  }
  for (const auto& [name, bytes] : b) {
    if (!a.contains(name)) names.push_back(name);
  }
  return names;
}

// The lines of log.csv split at commas; without the column of speeds, which differ from run to run.
inline std::vector<std::vector<std::string>> log_of(const std::filesystem::path& folder) {
  std::vector<std::vector<std::string>> lines;
  std::ifstream file(folder / "log.csv");
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> fields;
    std::istringstream stream(line + ",");
    for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
    fields.erase(fields.begin() + 5);
    lines.push_back(std::move(fields));
  }
  return lines;
}

}  // namespace aid::train::test
