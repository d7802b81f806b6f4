// Pipeline directories that spacy.load() opens: config.cfg, meta.json, tokenizer, vocab, COMPONENT/{cfg,model}.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "nn/textcat.h"
#include "train/spacy/architecture.h"

namespace aid::train {

// In a text of config.cfg, a key's value as JSON: in the place of the one that is there, or as a new line.
std::string set_in_config(std::string text, const std::string& section, const std::string& key,
                          const std::string& value);

struct TrainedTextCat {
  const TextCatArchitecture& architecture;
  const std::vector<std::string>& labels;
  nn::TextCat& network;  // in training
  std::map<std::string, double> performance;
};

// base: a folder with the pipeline's config.cfg, tokenizer and, where it has one, vocab. folder: is there, and empty.
void write_pipeline(Stream& s, const std::filesystem::path& folder, const std::filesystem::path& base,
                    const TrainedTextCat& trained);

}  // namespace aid::train
