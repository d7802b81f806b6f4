#include "train/spacy/training/textcat_recipe.h"

#include <algorithm>
#include <stdexcept>

#include "train/spacy/config_block.h"
#include "train/spacy/training/textcat_scores.h"

namespace aid::train {
namespace {

using Json = nlohmann::json;
using tokenizer::spacy::ConfigFile;

// What [training] says, over `value`; null and what is not there leave it.
template <class T>
void read(const ConfigBlock& block, const char* key, T& value) {
  const Json found = block.at(key);
  if (found.is_null()) return;
  if constexpr (std::is_same_v<T, bool>) {
    if (!found.is_boolean()) block.refuse(key, "true or false");
  } else if constexpr (std::is_integral_v<T>) {
    if (!found.is_number_unsigned()) block.refuse(key, "a whole number, 0 or more");
  } else {
    if (!found.is_number()) block.refuse(key, "a number; schedules of it are not known to aid");
  }
  found.get_to(value);
}

void refuse_others(const ConfigBlock& block, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const Json found = block.at(key);
    if (!found.is_null() && found != Json::array()) block.refuse(key, "null: aid does not have it");
  }
}

void read_size(const ConfigBlock& batcher, BatcherOptions& options) {
  const Json size = batcher.at("size");
  if (size.is_number_unsigned() && size.get<uint64_t>() > 0) {
    options.start = options.stop = size.get<double>();
    options.compound = 1;
    return;
  }
  if (!size.is_object()) batcher.refuse("size", "a whole number, or a schedule compounding.v1");
  const ConfigBlock schedule = batcher.block("size");
  if (schedule.text("@schedules") != "compounding.v1") schedule.refuse("@schedules", "compounding.v1");
  read(schedule, "start", options.start);
  read(schedule, "stop", options.stop);
  read(schedule, "compound", options.compound);
}

void read_batcher(const ConfigBlock& batcher, BatcherOptions& options) {
  const std::string name = batcher.text("@batchers");
  if (name == "spacy.batch_by_words.v1") {
    read(batcher, "tolerance", options.tolerance);
    read(batcher, "discard_oversize", options.discard_oversize);
  } else if (name == "spacy.batch_by_sequence.v1") {
    options.by = BatcherOptions::By::sequences;
  } else {
    batcher.refuse("@batchers", "spacy.batch_by_words.v1 or spacy.batch_by_sequence.v1");
  }
  refuse_others(batcher, {"get_length"});
  read_size(batcher, options);
}

void read_optimizer(const ConfigBlock& optimizer, TextCatRecipe& recipe) {
  if (optimizer.text("@optimizers") != "Adam.v1") optimizer.refuse("@optimizers", "Adam.v1");
  read(optimizer, "beta1", recipe.beta1);
  read(optimizer, "beta2", recipe.beta2);
  read(optimizer, "eps", recipe.epsilon);
  read(optimizer, "L2", recipe.l2);
  bool decoupled = true, averages = false;
  read(optimizer, "L2_is_weight_decay", decoupled);
  if (!decoupled && recipe.l2 != 0) optimizer.refuse("L2_is_weight_decay", "true: aid does not add L2 to gradients");
  read(optimizer, "grad_clip", recipe.grad_clip);
  read(optimizer, "use_averages", averages);
  if (averages) optimizer.refuse("use_averages", "false: aid trains without averages of the weights");
  if (!optimizer.at("learn_rate").is_object()) return read(optimizer, "learn_rate", recipe.learn_rate);
  const ConfigBlock rate = optimizer.block("learn_rate");
  if (rate.text("@schedules") != "warmup_linear.v1") rate.refuse("@schedules", "warmup_linear.v1");
  read(rate, "initial_rate", recipe.learn_rate);
  recipe.warm_up = {.steps = rate.integer("warmup_steps", 0), .total = rate.integer("total_steps", 1)};
}

void read_scores(const ConfigBlock& weights, TextCatRecipe& recipe) {
  recipe.score_weights.clear();
  for (const std::string& name : score_names()) {
    double weight = 0;
    read(weights, name.c_str(), weight);
    if (weight != 0) recipe.score_weights[name] = weight;
  }
  if (recipe.score_weights.empty()) recipe.score_weights = {{"cats_score", 1.0}};
}

template <class F>
void with_block(const ConfigFile& config, const std::string& section, const std::string& key, const F& f) {
  const Json value = config.value(section, key);
  if (!value.is_null()) f(ConfigBlock(config, section + "." + key, value));
}

}  // namespace

double TextCatRecipe::rate_at(int64_t step) const {
  if (!warm_up) return learn_rate;
  const auto at = static_cast<double>(step), steps = static_cast<double>(warm_up->steps),
             total = static_cast<double>(warm_up->total);
  const double factor =
      step < warm_up->steps ? at / std::max(1.0, steps) : std::max(0.0, (total - at) / std::max(1.0, total - steps));
  return learn_rate * factor;
}

TextCatRecipe read_textcat_recipe(const ConfigFile& config) {
  TextCatRecipe recipe;
  Json training = Json::object();
  for (const char* key : {"dropout", "accumulate_gradient", "patience", "max_epochs", "max_steps", "eval_frequency",
                          "seed", "frozen_components", "annotating_components", "before_to_disk", "before_update"}) {
    training[key] = config.value("training", key);
  }
  const ConfigBlock block(config, "training", training);
  read(block, "dropout", recipe.dropout);
  read(block, "accumulate_gradient", recipe.accumulate_gradient);
  read(block, "patience", recipe.patience);
  read(block, "max_epochs", recipe.max_epochs);
  read(block, "max_steps", recipe.max_steps);
  read(block, "eval_frequency", recipe.eval_frequency);
  read(block, "seed", recipe.seed);
  refuse_others(block, {"frozen_components", "annotating_components", "before_to_disk", "before_update"});
  with_block(config, "training", "batcher", [&](const ConfigBlock& batcher) { read_batcher(batcher, recipe.batcher); });
  with_block(config, "training", "optimizer", [&](const ConfigBlock& optimizer) { read_optimizer(optimizer, recipe); });
  with_block(config, "training", "score_weights", [&](const ConfigBlock& weights) { read_scores(weights, recipe); });
  return recipe;
}

void check(const TextCatRecipe& r) {
  const auto require = [](bool holds, const char* name, double value, const char* expected) {
    if (holds) return;
    throw std::invalid_argument(std::string(name) + " is " + Json(value).dump() + "; expected " + expected);
  };
  require(r.dropout >= 0 && r.dropout < 1, "dropout", r.dropout, "0 or more, and less than 1");
  require(r.accumulate_gradient >= 1, "accumulate_gradient", static_cast<double>(r.accumulate_gradient), "1 or more");
  require(r.eval_frequency >= 1, "eval_frequency", static_cast<double>(r.eval_frequency), "1 or more");
  require(r.max_epochs >= 0, "max_epochs", static_cast<double>(r.max_epochs), "0 or more");
  require(r.max_steps >= 0, "max_steps", static_cast<double>(r.max_steps), "0 or more");
  require(r.patience >= 0, "patience", static_cast<double>(r.patience), "0 or more");
  require(r.batcher.start >= 1 && r.batcher.stop >= 1, "batcher.size", std::min(r.batcher.start, r.batcher.stop),
          "1 or more");
  require(r.batcher.compound > 0, "batcher.size.compound", r.batcher.compound, "more than 0");
  require(r.batcher.tolerance >= 0, "batcher.tolerance", r.batcher.tolerance, "0 or more");
  require(r.learn_rate > 0, "learn_rate", r.learn_rate, "more than 0");
  require(r.beta1 >= 0 && r.beta1 < 1, "beta1", r.beta1, "0 or more, and less than 1");
  require(r.beta2 >= 0 && r.beta2 < 1, "beta2", r.beta2, "0 or more, and less than 1");
  require(r.epsilon > 0, "eps", r.epsilon, "more than 0");
  require(r.l2 >= 0, "L2", r.l2, "0 or more");
  require(r.grad_clip >= 0, "grad_clip", r.grad_clip, "0 or more");
}

std::map<std::string, std::string> fields_of(const TextCatRecipe& r) {
  const BatcherOptions& batcher = r.batcher;
  std::map<std::string, Json> fields = {{"dropout", r.dropout},
                                        {"accumulate_gradient", r.accumulate_gradient},
                                        {"patience", r.patience},
                                        {"max_epochs", r.max_epochs},
                                        {"max_steps", r.max_steps},
                                        {"eval_frequency", r.eval_frequency},
                                        {"batcher", batcher.by == BatcherOptions::By::words ? "words" : "sequence"},
                                        {"batcher.size.start", batcher.start},
                                        {"batcher.size.stop", batcher.stop},
                                        {"batcher.size.compound", batcher.compound},
                                        {"batcher.tolerance", batcher.tolerance},
                                        {"batcher.discard_oversize", batcher.discard_oversize},
                                        {"learn_rate", r.learn_rate},
                                        {"beta1", r.beta1},
                                        {"beta2", r.beta2},
                                        {"eps", r.epsilon},
                                        {"L2", r.l2},
                                        {"grad_clip", r.grad_clip}};
  if (r.warm_up) {
    fields["warmup_steps"] = r.warm_up->steps;
    fields["total_steps"] = r.warm_up->total;
  }
  std::map<std::string, std::string> texts;
  for (const auto& [name, value] : fields) texts[name] = value.dump();
  return texts;
}

}  // namespace aid::train
