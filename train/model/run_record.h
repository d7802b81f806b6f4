// aid.json: what a model directory says about how its model was made. The same run writes the same bytes: there are
// neither dates nor timings nor paths of this machine in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "train/text/text_encoder.h"

namespace aid::train {

struct RunRecord {
  std::string kind;                 // "beto", "distilbeto"
  std::vector<std::string> labels;  // in the order of the logits
  // How texts become token sequences, in use as in training.
  LongOptions texts;
  bool nfc = false;  // Unicode NFC before the tokenizer
  struct Data {
    std::optional<int64_t> version;  // N of data_v{N}
    int64_t train_texts = 0, val_texts = 0;
    std::string train_sha256, val_sha256;  // of the manifests, io/dataset.h
  } data;
  std::map<std::string, std::string> hyperparameters;  // name as on the command line -> value as JSON text
  uint64_t seed = 0;
  std::string precision;                        // "f32" or "bf16", in training
  std::map<std::string, double> metrics;        // of the saved weights on the validation set
  int64_t step = 0;                             // optimizer steps that made the saved weights
  std::map<std::string, std::string> versions;  // program and libraries
};

constexpr const char* kRunRecordFile = "aid.json";

std::string to_json(const RunRecord& record);
// Reads `directory`/aid.json; nothing when there is none (a directory from elsewhere). Throws std::runtime_error naming
// the file and the field that is missing or of another type.
std::optional<RunRecord> read_run_record(const std::filesystem::path& directory);

}  // namespace aid::train
