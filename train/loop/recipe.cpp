#include "train/loop/recipe.h"

#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace aid::train {
namespace {

constexpr std::array kBestMetrics{BestMetric::accuracy, BestMetric::macro_f1, BestMetric::loss, BestMetric::last};
constexpr std::array kShapes{Schedule::Shape::linear, Schedule::Shape::cosine, Schedule::Shape::constant};

template <class Values>
std::optional<typename Values::value_type> from_name(const Values& values, std::string_view name) {
  for (const auto value : values) {
    if (name == name_of(value)) return value;
  }
  return std::nullopt;
}

// value: an integer or a double, told with the digits that a person would type.
template <class T>
void require(bool holds, const char* flag, T value, const char* expected) {
  if (holds) return;
  char text[32];
  char* const end = std::to_chars(text, text + sizeof text, value).ptr;
  throw std::invalid_argument(std::string(flag) + " is " + std::string(text, end) + "; it takes " + expected);
}

}  // namespace

const char* name_of(BestMetric metric) {
  switch (metric) {
    case BestMetric::accuracy:
      return "accuracy";
    case BestMetric::macro_f1:
      return "macro-f1";
    case BestMetric::loss:
      return "loss";
    case BestMetric::last:
      break;
  }
  return "last";
}

const char* name_of(Schedule::Shape shape) {
  switch (shape) {
    case Schedule::Shape::linear:
      return "linear";
    case Schedule::Shape::cosine:
      return "cosine";
    case Schedule::Shape::constant:
      break;
  }
  return "constant";
}

std::optional<BestMetric> best_metric_from_name(std::string_view name) { return from_name(kBestMetrics, name); }
std::optional<Schedule::Shape> schedule_from_name(std::string_view name) { return from_name(kShapes, name); }

void check(const Recipe& r) {
  require(r.epochs >= 1, "--epochs", r.epochs, "1 or more");
  require(r.lr > 0 && std::isfinite(r.lr), "--lr", r.lr, "a number above 0");
  require(r.batch_size >= 1, "--batch-size", r.batch_size, "1 or more");
  require(r.gradient_accumulation >= 1, "--gradient-accumulation", r.gradient_accumulation, "1 or more");
  require(r.token_budget >= 0, "--token-budget", r.token_budget, "0 (off) or more");
  require(r.warmup_steps >= 0, "--warmup-steps", r.warmup_steps, "0 or more");
  require(r.warmup_ratio >= 0 && r.warmup_ratio <= 1, "--warmup-ratio", r.warmup_ratio, "0 to 1");
  require(r.weight_decay >= 0 && std::isfinite(r.weight_decay), "--weight-decay", r.weight_decay, "0 or more");
  require(r.adam_beta1 >= 0 && r.adam_beta1 < 1, "--adam-beta1", r.adam_beta1, "0 or more, below 1");
  require(r.adam_beta2 >= 0 && r.adam_beta2 < 1, "--adam-beta2", r.adam_beta2, "0 or more, below 1");
  require(r.adam_epsilon > 0, "--adam-epsilon", r.adam_epsilon, "a number above 0");
  require(r.max_grad_norm >= 0, "--max-grad-norm", r.max_grad_norm, "0 (off) or more");
  require(r.label_smoothing >= 0 && r.label_smoothing < 1, "--label-smoothing", r.label_smoothing,
          "0 or more, below 1");
  require(r.early_stopping >= 0, "--early-stopping", r.early_stopping, "0 (off) or more");
  require(r.early_stopping == 0 || r.best_metric != BestMetric::last, "--early-stopping", r.early_stopping,
          "0 with --metric-for-best-model last: nothing says what is better");
  require(r.eval_every >= 0, "--eval-every", r.eval_every, "0 (every epoch) or more");
}

std::map<std::string, std::string> fields_of(const Recipe& r) {
  const nlohmann::json json = {
      {"epochs", r.epochs},
      {"lr", r.lr},
      {"batch-size", r.batch_size},
      {"gradient-accumulation", r.gradient_accumulation},
      {"token-budget", r.token_budget},
      {"group-by-length", r.order == BatchPlanOptions::Order::group_by_length},
      {"schedule", name_of(r.schedule)},
      {"warmup-steps", r.warmup_steps},
      {"warmup-ratio", r.warmup_ratio},
      {"weight-decay", r.weight_decay},
      {"adam-beta1", r.adam_beta1},
      {"adam-beta2", r.adam_beta2},
      {"adam-epsilon", r.adam_epsilon},
      {"max-grad-norm", r.max_grad_norm},
      {"label-smoothing", r.label_smoothing},
      {"class-weights", r.class_weights},
      {"metric-for-best-model", name_of(r.best_metric)},
      {"early-stopping", r.early_stopping},
      {"eval-every", r.eval_every},
      {"seed", r.seed},
  };
  std::map<std::string, std::string> fields;
  for (const auto& [name, value] : json.items()) fields[name] = value.dump();
  return fields;
}

std::vector<float> balanced_class_weights(std::span<const int32_t> labels, size_t classes) {
  std::vector<int64_t> count(classes, 0);
  for (const int32_t label : labels) ++count[static_cast<size_t>(label)];
  std::vector<float> weights;
  weights.reserve(classes);
  for (const int64_t n : count) {
    weights.push_back(n == 0 ? 0.0f
                             : static_cast<float>(static_cast<double>(labels.size()) /
                                                  (static_cast<double>(classes) * static_cast<double>(n))));
  }
  return weights;
}

}  // namespace aid::train
