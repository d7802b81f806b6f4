// How a text categorizer is trained: what [training] of a config.cfg says (spacy/schemas.py), with spaCy's defaults.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tokenizer/spacy/config_file.h"
#include "train/spacy/training/batching.h"

namespace aid::train {

struct TextCatRecipe {
  double dropout = 0.1;
  int64_t accumulate_gradient = 1;  // an optimizer step takes its batch in so many pieces
  int64_t patience = 1600;          // ends after so many steps without a better score; 0: never
  int64_t max_epochs = 0;           // 0: any number
  int64_t max_steps = 20000;        // 0: any number
  int64_t eval_frequency = 200;     // steps
  BatcherOptions batcher;
  double learn_rate = 0.001;
  struct WarmUp {
    int64_t steps = 0, total = 0;  // linear to learn_rate, then linear to 0 at `total`
  };
  std::optional<WarmUp> warm_up;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double l2 = 0.01;        // of all weights, after the step
  double grad_clip = 1.0;  // of each tensor's own norm; 0: none
  std::map<std::string, double> score_weights = {{"cats_score", 1.0}};
  uint32_t seed = 0;

  double rate_at(int64_t step) const;  // from 0
};

// Throws io::Error for a part that aid does not reproduce: names the file, the section, what was found and what is
// known.
TextCatRecipe read_textcat_recipe(const tokenizer::spacy::ConfigFile& config);
// Throws std::invalid_argument naming what is out of its range.
void check(const TextCatRecipe& recipe);

// By the names of config.cfg; values as JSON text.
std::map<std::string, std::string> fields_of(const TextCatRecipe& recipe);

}  // namespace aid::train
