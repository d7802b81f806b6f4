#include "train/loop/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "io/file.h"
#include "kernels/elements/cast.h"
#include "kernels/rows/cross_entropy.h"
#include "kernels/rows/segment_reduce.h"
#include "kernels/update/adamw.h"
#include "kernels/update/global_norm.h"
#include "train/text/text_batch.h"

namespace aid::train {
namespace {

// Dropout tells the sequences of a step apart by 16 bits.
constexpr int64_t kMaxSequencesPerStep = int64_t{1} << 16;

double value_of(BestMetric metric, const Metrics& metrics) {
  switch (metric) {
    case BestMetric::macro_f1:
      return metrics.macro.f1;
    case BestMetric::loss:
      return metrics.log_loss;
    case BestMetric::accuracy:
    case BestMetric::last:
      break;
  }
  return metrics.accuracy;
}

bool better(BestMetric metric, double value, double best) {
  switch (metric) {
    case BestMetric::loss:
      return value < best;
    case BestMetric::last:
      return true;
    case BestMetric::accuracy:
    case BestMetric::macro_f1:
      break;
  }
  return value > best;
}

std::map<std::string, double> numbers_of(const Metrics& metrics) {
  return {{"accuracy", metrics.accuracy},
          {"accuracy_low", metrics.accuracy_low},
          {"accuracy_high", metrics.accuracy_high},
          {"macro_f1", metrics.macro.f1},
          {"weighted_f1", metrics.weighted.f1},
          {"loss", metrics.log_loss},
          {"calibration_error", metrics.calibration_error}};
}

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

CSpan upload(Stream& s, const std::vector<int32_t>& values) {
  return s.upload(vector(values.data(), static_cast<int64_t>(values.size())));
}

// What Stream::repeat tells batches apart by: which work, and the lengths of texts and sequences.
constexpr int32_t kTraining = 0, kEvaluation = 1;

void append_shape(std::vector<int32_t>& shape, const TextBatch& batch) {
  shape.insert(shape.end(), batch.first_sequence.begin(), batch.first_sequence.end());
  shape.insert(shape.end(), batch.tokens.cu_seqlens.begin(), batch.tokens.cu_seqlens.end());
}

Schedule schedule_of(const Recipe& recipe, int64_t total_steps) {
  return {.shape = recipe.schedule,
          .warmup_steps = Schedule::warmup(recipe.warmup_steps, recipe.warmup_ratio, total_steps),
          .total_steps = total_steps};
}

}  // namespace

Trainer::Trainer(TrainerSetup setup)
    : setup_(std::move(setup)),
      train_lengths_(text_lengths(setup_.train.texts)),
      val_lengths_(text_lengths(setup_.val.texts)),
      moments_(setup_.network.parameters(), setup_.stream.device()) {
  check(setup_.recipe);
  for (int64_t epoch = 0; epoch < setup_.recipe.epochs; ++epoch) {
    const std::vector<Step> steps = plan(epoch);
    for (const Step& step : steps) {
      int64_t sequences = 0;
      for (const int32_t text : step) {
        sequences += setup_.train.texts.first_sequence[text + 1] - setup_.train.texts.first_sequence[text];
      }
      if (sequences <= kMaxSequencesPerStep) continue;
      throw std::invalid_argument("an optimizer step has " + std::to_string(sequences) + " sequences, at most " +
                                  std::to_string(kMaxSequencesPerStep) +
                                  " are possible: lower --batch-size, --gradient-accumulation or --token-budget");
    }
    steps_of_epoch_.push_back(static_cast<int64_t>(steps.size()));
  }
  total_steps_ = std::accumulate(steps_of_epoch_.begin(), steps_of_epoch_.end(), int64_t{0});
  schedule_ = schedule_of(setup_.recipe, total_steps_);
}

void Trainer::resume() {
  state_ = setup_.checkpoints.read(setup_.network.parameters(), moments_);
  setup_.checkpoints.prune(state_, setup_.keep_checkpoints);  // what a process that died while pruning has left
}

Trainer::Outcome Trainer::run() {
  log_ = std::make_unique<RunLog>(setup_.checkpoints.log_file(), state_.log_lines);
  setup_.network.update_weights(setup_.stream);
  if (state_.evaluation_due) {
    if (!evaluate()) return Outcome::interrupted;
    save();
  }
  setup_.progress.begin("training", total_steps_, state_.step);

  std::vector<Step> steps;
  int64_t planned_epoch = -1;
  std::optional<Batches> next;
  while (state_.step < total_steps_ && !state_.stopped_early) {
    if (planned_epoch != state_.epoch) steps = plan(planned_epoch = state_.epoch);
    const auto step = static_cast<size_t>(state_.step_in_epoch);
    const Batches batches = next ? *std::exchange(next, std::nullopt) : make_batches(steps[step]);
    run_step(batches, [&] {
      if (step + 1 < steps.size()) next = make_batches(steps[step + 1]);
    });
    const bool epoch_ended = ++state_.step_in_epoch == static_cast<int64_t>(steps.size());
    if (epoch_ended) {
      ++state_.epoch;
      state_.step_in_epoch = 0;
    }
    const int64_t eval_every = setup_.recipe.eval_every;
    state_.evaluation_due =
        state_.step == total_steps_ || (eval_every > 0 ? state_.step % eval_every == 0 : epoch_ended);
    const bool interrupted = setup_.stop_requested() || (state_.evaluation_due && !evaluate());
    if (interrupted || epoch_ended || state_.stopped_early ||
        (setup_.save_every > 0 && state_.step % setup_.save_every == 0)) {
      save();
    }
    if (interrupted) return Outcome::interrupted;
  }
  setup_.progress.end();
  return Outcome::finished;
}

std::vector<Step> Trainer::plan(int64_t epoch) const {
  const Recipe& recipe = setup_.recipe;
  return plan_epoch(train_lengths_,
                    {.order = recipe.order,
                     .texts_per_step = recipe.batch_size * recipe.gradient_accumulation,
                     .tokens_per_step = recipe.token_budget,
                     .seed = recipe.seed},
                    epoch);
}

Trainer::Batches Trainer::make_batches(const Step& texts) const {
  const std::vector<float>& weights = setup_.recipe.class_weights;
  Batches batches;
  for (const int32_t text : texts) {
    batches.total_weight += weights.empty() ? 1.0f : weights[static_cast<size_t>(setup_.train.labels[text])];
  }
  int64_t sequences = 0;
  for (const MicroBatch& part : split_step(texts, train_lengths_, setup_.tokens_per_pass)) {
    const auto part_texts =
        std::span(texts).subspan(static_cast<size_t>(part.begin), static_cast<size_t>(part.end - part.begin));
    Batches::Part& made = batches.parts.emplace_back();
    made.batch = make_batch(setup_.train.texts, part_texts, sequences);
    for (const int32_t text : part_texts) made.labels.push_back(setup_.train.labels[text]);
    batches.tokens += made.batch.tokens.tokens();
    sequences += made.batch.tokens.sequences();
  }
  return batches;
}

// One optimizer step, its line in the log and on the progress bar. The host waits for the results once, at its end,
// after `meanwhile`: what the step's numbers are does not decide what the device does.
void Trainer::run_step(const Batches& batches, const std::function<void()>& meanwhile) {
  const auto begin = std::chrono::steady_clock::now();
  const double lr = setup_.recipe.lr * schedule_.factor(state_.step);
  Stream& s = setup_.stream;
  const auto count = static_cast<int64_t>(1 + batches.parts.size());
  if (numbers_.span().cols < count) numbers_ = Tensor(DType::f32, 1, count, s.device());
  std::vector<float> numbers(static_cast<size_t>(count));
  std::vector<int32_t> shape = {kTraining};
  for (const Batches::Part& part : batches.parts) append_shape(shape, part.batch);
  s.repeat(shape, [&] {
    compute_gradient(batches);
    update(lr);
    s.download(vector(numbers.data(), count), numbers_.span().col_slice(0, count));
  });
  meanwhile();
  s.synchronize();
  const auto norm = static_cast<double>(numbers.front());
  const double loss = std::accumulate(numbers.begin() + 1, numbers.end(), 0.0);
  require_finite("loss", loss);
  require_finite("gradient's norm", norm);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  const double epoch =
      static_cast<double>(state_.epoch) + static_cast<double>(state_.step_in_epoch + 1) /
                                              static_cast<double>(steps_of_epoch_[static_cast<size_t>(state_.epoch)]);
  const double tokens_per_second = static_cast<double>(batches.tokens) / seconds;
  ++state_.step;
  log_->add({.step = state_.step,
             .epoch = epoch,
             .loss = loss,
             .lr = lr,
             .grad_norm = norm,
             .tokens_per_second = tokens_per_second});
  // Averages over about ten steps: single ones jump.
  shown_loss_ = shown_loss_ ? 0.9 * *shown_loss_ + 0.1 * loss : loss;
  setup_.progress.update(state_.step, format("epoch %.2f, ", epoch) + format("loss %.4f, ", *shown_loss_) +
                                          short_number(tokens_per_second) + "tokens/s");
}

// Sums the parts' gradients in the parameters.
void Trainer::compute_gradient(const Batches& batches) {
  int64_t number = 1;  // behind the norm
  for (const Batches::Part& part : batches.parts) {
    forward_backward(part, batches.total_weight, numbers_.span().col_slice(number, number + 1));
    ++number;
  }
  std::vector<CSpan> gradients;
  for (const nn::Parameter& parameter : setup_.network.parameters()) {
    if (parameter.trainable) gradients.push_back(parameter.gradient);
  }
  global_norm(setup_.stream, {.norm = numbers_.span().col_slice(0, 1), .vectors = gradients});
}

// Writes these texts' share of the step's loss.
void Trainer::forward_backward(const Batches::Part& part, float total_weight, Span loss) {
  Stream& s = setup_.stream;
  const Recipe& recipe = setup_.recipe;
  const TextBatch& batch = part.batch;
  const int64_t classes = setup_.network.config().labels;
  const nn::DropoutKey dropout{.seed = recipe.seed, .step = static_cast<uint32_t>(state_.step)};
  // A text of many windows goes in several passes. Its gradient is known when all of them are through, and each is then
  // computed again for its backward: more work, for few texts, but memory stays bounded. Dropout is the same both
  // times.
  const std::vector<nn::TokenBatch> passes = split_batch(batch.tokens, setup_.tokens_per_pass);
  const auto for_each_pass = [&](const auto& f) {
    int64_t sequence = 0;
    for (const nn::TokenBatch& pass : passes) {
      f(pass, sequence, sequence + pass.sequences());
      sequence += pass.sequences();
    }
  };
  Span logits;  // of the sequences
  if (passes.size() == 1) {
    logits = setup_.network.forward_training(s, passes.front(), dropout);
  } else {
    logits = s.arena().take(DType::f32, batch.tokens.sequences(), classes);
    for_each_pass([&](const nn::TokenBatch& pass, int64_t first, int64_t last) {
      const Scratch scratch(s);
      cast(s, {.y = logits.row_slice(first, last), .x = setup_.network.forward_training(s, pass, dropout)});
    });
  }
  const CSpan first_sequence = upload(s, batch.first_sequence);
  const Span text_logits = s.arena().take(DType::f32, batch.texts(), classes);
  segment_reduce_forward(s, {.y = text_logits, .x = logits, .first = first_sequence, .reduction = Reduction::mean});
  CSpan class_weights;
  if (!recipe.class_weights.empty()) class_weights = s.upload(vector(recipe.class_weights.data(), classes));
  cross_entropy(s, {.loss = loss,
                    .dlogits = text_logits,
                    .logits = text_logits,
                    .labels = upload(s, part.labels),
                    .class_weights = class_weights,
                    .label_smoothing = static_cast<float>(recipe.label_smoothing),
                    .total_weight = total_weight});
  segment_reduce_backward(s, {.dx = logits, .dy = text_logits, .first = first_sequence, .reduction = Reduction::mean});
  if (passes.size() == 1) {
    setup_.network.backward(s, logits);
  } else {
    for_each_pass([&](const nn::TokenBatch& pass, int64_t first, int64_t last) {
      const Scratch scratch(s);
      setup_.network.forward_training(s, pass, dropout);
      setup_.network.backward(s, logits.row_slice(first, last));
    });
  }
  s.release();
}

void Trainer::update(double lr) {
  const Recipe& recipe = setup_.recipe;
  const auto parameters = setup_.network.parameters();
  std::vector<AdamWTensor> tensors;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const nn::Parameter& parameter = parameters[i];
    if (!parameter.trainable) continue;
    tensors.push_back({.parameter = parameter.trained_value,
                       .gradient = parameter.gradient,
                       .m = moments_.m(i),
                       .v = moments_.v(i),
                       .copy = parameter.compute_value,
                       .weight_decay = parameter.decay ? static_cast<float>(recipe.weight_decay) : 0.0f});
  }
  adamw(setup_.stream, {.tensors = tensors,
                        .lr = static_cast<float>(lr),
                        .beta1 = static_cast<float>(recipe.adam_beta1),
                        .beta2 = static_cast<float>(recipe.adam_beta2),
                        .eps = static_cast<float>(recipe.adam_epsilon),
                        .step = state_.step + 1,
                        .norm = recipe.max_grad_norm > 0 ? CSpan(numbers_.span().col_slice(0, 1)) : CSpan(),
                        .max_norm = static_cast<float>(recipe.max_grad_norm),
                        .clear_gradients = true});
}

void Trainer::require_finite(const char* what, double value) const {
  if (std::isfinite(value)) return;
  const auto checkpoint = setup_.checkpoints.newest();
  throw std::runtime_error(
      "training diverged: at step " + std::to_string(state_.step + 1) + " of " + std::to_string(total_steps_) +
      " the " + what + " is " + format("%g", value) + ". Nothing of that step was kept; " +
      (checkpoint ? "the last checkpoint is " + checkpoint->string() : "there is no checkpoint yet") +
      ". Try a lower --lr, more --warmup-ratio, --max-grad-norm 1 or --precision f32");
}

// Which are there after the stream's synchronize().
void Trainer::compute_probabilities(const TextBatch& batch, Span host) {
  Stream& s = setup_.stream;
  const int64_t classes = host.cols;
  const Span logits = s.arena().take(DType::f32, batch.tokens.sequences(), classes);
  int64_t sequence = 0;
  for (const nn::TokenBatch& pass : split_batch(batch.tokens, setup_.tokens_per_pass)) {
    const Scratch scratch(s);
    cast(s, {.y = logits.row_slice(sequence, sequence + pass.sequences()), .x = setup_.network.forward(s, pass)});
    sequence += pass.sequences();
  }
  const Span text_logits = s.arena().take(DType::f32, batch.texts(), classes);
  segment_reduce_forward(
      s, {.y = text_logits, .x = logits, .first = upload(s, batch.first_sequence), .reduction = Reduction::mean});
  const Span text_probabilities = s.arena().take(DType::f32, batch.texts(), classes);
  cross_entropy(s, {.probabilities = text_probabilities, .logits = text_logits});
  s.download(host, text_probabilities);
  s.release();
}

bool Trainer::evaluate() {
  Stream& s = setup_.stream;
  const int64_t texts = setup_.val.texts.texts(), classes = setup_.network.config().labels;
  std::vector<int32_t> order(static_cast<size_t>(texts));
  std::iota(order.begin(), order.end(), 0);
  std::vector<float> probabilities;
  setup_.progress.begin("evaluating", texts);
  for (const MicroBatch& part : split_step(order, val_lengths_, setup_.tokens_per_pass)) {
    if (setup_.stop_requested()) return false;
    const auto part_texts =
        std::span(order).subspan(static_cast<size_t>(part.begin), static_cast<size_t>(part.end - part.begin));
    const TextBatch batch = make_batch(setup_.val.texts, part_texts, 0);
    std::vector<float> computed(static_cast<size_t>(batch.texts() * classes));
    std::vector<int32_t> shape = {kEvaluation};
    append_shape(shape, batch);
    s.repeat(shape, [&] { compute_probabilities(batch, matrix(computed.data(), batch.texts(), classes)); });
    s.synchronize();
    probabilities.insert(probabilities.end(), computed.begin(), computed.end());
    setup_.progress.update(part.end, "");
  }
  setup_.progress.end();
  for (const float p : probabilities) require_finite("probability of a validation text", p);
  judge(compute_metrics({.labels = setup_.labels, .truth = setup_.val.labels, .probabilities = probabilities}));
  state_.evaluation_due = false;
  setup_.progress.begin("training", total_steps_, state_.step);
  return true;
}

// Keeps the weights if they are the best so far, and counts towards stopping early.
void Trainer::judge(const Metrics& metrics) {
  const Recipe& recipe = setup_.recipe;
  const double value = value_of(recipe.best_metric, metrics);
  const bool best = !state_.best || better(recipe.best_metric, value, state_.best->value);
  log_->add(state_.step, metrics);
  setup_.progress.note("step " + std::to_string(state_.step) + ": validation accuracy " +
                       format("%.4f", metrics.accuracy) + ", macro F1 " + format("%.4f", metrics.macro.f1) + ", loss " +
                       format("%.4f", metrics.log_loss) + (best ? ", the best so far" : ""));
  if (best) {
    state_.best = {.step = state_.step, .value = value, .metrics = numbers_of(metrics)};
    state_.evaluations_without_better = 0;
    io::AtomicDirectory folder(setup_.checkpoints.best_folder(state_.step));
    setup_.write_model(folder.path(), *state_.best, metrics);
    folder.commit();
  } else {
    ++state_.evaluations_without_better;
    state_.stopped_early = recipe.early_stopping > 0 && state_.evaluations_without_better >= recipe.early_stopping;
  }
}

// A step and an evaluation end with a wait for the device: the weights are there.
void Trainer::save() {
  state_.log_lines = log_->lines();
  setup_.checkpoints.write(state_, setup_.network.parameters(), moments_, setup_.keep_checkpoints);
}

}  // namespace aid::train
