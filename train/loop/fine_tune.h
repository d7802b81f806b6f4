// `aid train` from folders of texts to a model directory: reads the data, opens the pretrained model, trains with
// checkpoints, writes the best weights. While it runs, OUT.training beside the model's folder has checkpoints, the best
// model so far and log.csv; it is removed when OUT is there. One process at a time works in it.
// OUT is a Hugging Face directory (train/model/hf_model.h) with aid.json (train/model/run_record.h), log.csv
// (train/loop/run_log.h), and the validation metrics as validation.txt and validation.json.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "train/console/progress.h"
#include "train/loop/recipe.h"
#include "train/loop/trainer.h"
#include "train/model/classifier.h"
#include "train/model/hf_model.h"
#include "train/text/text_encoder.h"

namespace aid::train {

struct FineTuneOptions {
  nn::BertConfig::Architecture architecture = nn::BertConfig::Architecture::bert;
  std::filesystem::path train, val;  // labelled folders
  std::filesystem::path out;
  std::filesystem::path model;  // pretrained, a Hugging Face directory
  TrainingStart::From start = TrainingStart::From::weights;
  // What may be there already: nothing; a run that was interrupted and goes on; or anything, which is thrown away.
  enum class Existing : uint8_t { refuse, resume, overwrite } existing = Existing::refuse;

  Recipe recipe;                         // class_weights are set from class_weighting
  std::string class_weighting = "none";  // none, balanced, or a JSON file {"label": weight, ...}
  LongOptions texts{.max_length = 0};    // 0: 512, or the model's positions where it has fewer
  std::optional<bool> strip_accents;     // in place of the tokenizer's own
  bool nfc = false;
  Precision precision = Precision::best;
  int64_t save_every = 0;
  int64_t keep_checkpoints = 1;
  int64_t tokens_per_pass = 2048;
};

struct FineTuneResult {
  Trainer::Outcome outcome;
  int64_t step, total_steps;  // done, of how many
  int64_t best_step;          // whose weights were kept
  bool stopped_early;
};

// In the model's folder: the validation metrics as a table.
constexpr const char* kValidationTable = "validation.txt";

// Tells on `progress` what it found and does. Throws io::Error, tokenizer::Error and std::invalid_argument for bad
// input, std::runtime_error for a run that diverged.
FineTuneResult fine_tune(Stream& s, const FineTuneOptions& options, Progress& progress,
                         const std::function<bool()>& stop_requested);

}  // namespace aid::train
