// `aid train textcat`: from folders of texts to a spaCy pipeline, as `spacy train` would (spacy/training/loop.py): the
// same first weights, order of documents, batches, losses, optimizer and scores. Dropout has the same distribution and
// other numbers.
// OUT is a pipeline directory with aid.json, log.csv, and the validation metrics as validation.txt and validation.json.
// Until it is there, OUT.training/best is such a directory with the best score so far, and stays where a run is killed.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kernels/core/stream.h"
#include "train/console/progress.h"
#include "train/spacy/training/textcat_recipe.h"

namespace aid::train {

struct TextCatTraining {
  std::filesystem::path train, val;  // textcat_corpus.h
  std::filesystem::path out;
  // What the pipeline is: a config.cfg; or a pipeline whose config.cfg, tokenizer and vocab are taken, and its weights
  // where it has the same labels; or neither: spaCy's default of a language.
  std::optional<std::filesystem::path> config, model;
  std::string language = "es";
  bool from_scratch = false;  // of model: not its weights
  bool overwrite = false;
  struct Setting {
    std::string section, key, value;  // value: JSON
  };
  std::vector<Setting> settings;  // in place of the config's
};

struct TextCatResult {
  enum class End : uint8_t { steps, epochs, patience, interrupted } end;
  int64_t step, best_step;  // done; whose weights were kept
  double best_score;
};

// In the model's folder: the validation metrics as a table.
constexpr const char* kTextCatTable = "validation.txt";

// Tells on `progress` what it found and does. Throws io::Error, tokenizer::Error and std::invalid_argument for bad
// input, std::runtime_error for a run that diverged.
TextCatResult train_textcat(Stream& s, const TextCatTraining& options, Progress& progress,
                            const std::function<bool()>& stop_requested);

}  // namespace aid::train
