// The runs of tests/golden/spacy_training.py, and ours over the same documents.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "io/file.h"
#include "tests/io/test_files.h"
#include "train/spacy/training/train_textcat.h"

namespace aid::train::test {

using Evaluation = std::map<std::string, double>;

inline const std::filesystem::path kTrainings = AID_SOURCE_DIR "/tests/golden/spacy_training";
inline constexpr const char* kTrained[] = {"bag",       "bag_multilabel",       "reduce",   "reduce_multilabel",
                                           "attention", "attention_multilabel", "ensemble", "ensemble_multilabel",
                                           "listener"};

inline const nlohmann::json& training_golden() {
  static const nlohmann::json parsed = nlohmann::json::parse(io::read_text(kTrainings / "training.json"));
  return parsed;
}
// Of one of kTrained.
inline nlohmann::json training_golden(const std::string& name) {
  return nlohmann::json::parse(io::read_text(kTrainings / name / "golden.json"));
}

// Documents of the golden runs as folders, which have the order that spaCy had them in.
class Workplace {
 public:
  Workplace() {
    for (const auto& [part, documents] : training_golden()["documents"].items()) {
      int number = 1000;
      for (const nlohmann::json& document : documents) {
        const std::filesystem::path folder = folder_ / part / document[0].get<std::string>();
        std::filesystem::create_directories(folder);
        const std::filesystem::path file = folder / (std::to_string(number++) + ".txt");
        io::test::put(file, document[1].get<std::string>());
        files_[part].push_back(file);
      }
    }
  }
  TextCatTraining training(const std::string& name) const {
    return {
        .train = folder_ / "train", .val = folder_ / "dev", .out = out(), .config = kTrainings / name / "config.cfg"};
  }
  std::filesystem::path out() const { return folder_ / "out"; }
  const std::vector<std::filesystem::path>& validation() const { return files_.at("dev"); }

 private:
  io::test::TemporaryFolder folder_;
  std::map<std::string, std::vector<std::filesystem::path>> files_;
};

inline std::vector<Evaluation> evaluations_of(const std::filesystem::path& log) {
  std::istringstream lines(io::read_text(log));
  const auto fields_of = [](const std::string& line) {
    std::vector<std::string> fields;
    std::istringstream stream(line);
    for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
    return fields;
  };
  std::string line;
  std::getline(lines, line);
  const std::vector<std::string> names = fields_of(line);
  std::vector<Evaluation> found;
  while (std::getline(lines, line)) {
    const std::vector<std::string> fields = fields_of(line);
    for (Evaluation& evaluation = found.emplace_back(); const std::string& name : names) {
      evaluation[name] = std::stod(fields.at(evaluation.size()));
    }
  }
  return found;
}

}  // namespace aid::train::test
