// config.json of a Hugging Face directory <-> what the engine builds (transformers' BertConfig and DistilBertConfig).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "nn/bert.h"

namespace aid::train {

struct HfConfig {
  nn::BertConfig model;
  // id2label, by class, model.labels of them; LABEL_0, LABEL_1... where the file has none, as in transformers.
  std::vector<std::string> labels;
  // DistilBERT's sinusoidal_pos_embds: what a new position table is filled with. A stored table is read like any other
  // and trained like any other, as transformers does.
  bool sinusoidal_positions = false;
};

// Reads FOLDER/config.json with transformers' defaults for what is missing (eps 1e-12, padding index 0, two token
// types). An option that would change the result and that the engine does not compute is refused by name: another
// architecture or activation, relative positions, decoders, pruned heads, regression, several labels a document. Throws
// io::Error.
HfConfig read_hf_config(const std::filesystem::path& folder);

// The text of a config.json that AutoModelForSequenceClassification opens.
std::string hf_config_json(const HfConfig& config);

}  // namespace aid::train
