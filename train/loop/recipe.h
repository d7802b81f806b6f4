// How a model is fine-tuned. Names and meaning are transformers' TrainingArguments' where it has them.
// The defaults are what BETO's authors found best on document classification (MLDoc,
// github.com/gchaperon/beto-benchmarks: learning rate 3e-5, batch 32, 3 epochs, 10 % warm-up, weight decay 0.01, 96.8 %
// on its development set), with the clipping of Trainer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/loop/batch_plan.h"
#include "train/loop/schedule.h"

namespace aid::train {

// Which validation number decides what the best weights are; last: none, the weights of the last step are kept.
enum class BestMetric : uint8_t { accuracy, macro_f1, loss, last };

struct Recipe {
  int64_t epochs = 3;
  double lr = 3e-5;
  int64_t batch_size = 32;  // texts
  int64_t gradient_accumulation =
      1;                     // an optimizer step takes batch_size times this; its loss is the mean over them all
  int64_t token_budget = 0;  // above 0: tokens of an optimizer step, instead of a number of texts
  BatchPlanOptions::Order order = BatchPlanOptions::Order::shuffled;
  Schedule::Shape schedule = Schedule::Shape::linear;
  int64_t warmup_steps = 0;  // above 0: instead of the ratio
  double warmup_ratio = 0.1;
  double weight_decay = 0.01;  // not of biases and LayerNorm
  double adam_beta1 = 0.9, adam_beta2 = 0.999, adam_epsilon = 1e-8;
  double max_grad_norm = 1;  // 0: no clipping
  double label_smoothing = 0;
  std::vector<float> class_weights;  // one a class; empty: all 1
  BestMetric best_metric = BestMetric::accuracy;
  int64_t early_stopping = 0;  // stop after so many evaluations without a better one; 0: never
  int64_t eval_every = 0;      // optimizer steps; 0: after every epoch
  uint64_t seed = 42;
};

// Throws std::invalid_argument naming the flag, what it was given and what it takes.
void check(const Recipe& recipe);

// By the names of the command line; values as JSON text. Two runs with equal fields, data and start take the same path.
std::map<std::string, std::string> fields_of(const Recipe& recipe);

const char* name_of(BestMetric metric);      // accuracy, macro-f1, loss, last
const char* name_of(Schedule::Shape shape);  // linear, cosine, constant
std::optional<BestMetric> best_metric_from_name(std::string_view name);
std::optional<Schedule::Shape> schedule_from_name(std::string_view name);

// n / (K n_k): every class weighs the same in the loss, as scikit-learn's class_weight="balanced". A class without
// texts weighs 0.
std::vector<float> balanced_class_weights(std::span<const int32_t> labels, size_t classes);

}  // namespace aid::train
