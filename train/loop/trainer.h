// The training loop of a text classifier, with the semantics of transformers' Trainer: per optimizer step the mean loss
// over its texts, gradients clipped at max_grad_norm by one global norm (scale min(1, max / (norm + 1e-6))), AdamW,
// then the schedule's next rate; an evaluation after every epoch (or every N steps); the best weights kept. The same
// seed and threads give the same bits, and so does a run that was interrupted and resumed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/bert.h"
#include "train/console/progress.h"
#include "train/loop/checkpoint.h"
#include "train/loop/recipe.h"
#include "train/loop/run_log.h"
#include "train/metrics/metrics.h"
#include "train/text/text_batch.h"
#include "train/text/text_encoder.h"

namespace aid::train {

struct LabelledTexts {
  EncodedTexts texts;
  std::vector<int32_t> labels;  // [texts]
};

struct TrainerSetup {
  Stream& stream;
  nn::BertClassifier& network;  // in training mode
  const LabelledTexts& train;
  const LabelledTexts& val;
  std::span<const std::string> labels;
  Recipe recipe;
  const Checkpoints& checkpoints;
  int64_t save_every = 0;        // optimizer steps, besides every epoch's end
  int64_t keep_checkpoints = 1;  // the newest
  // Most tokens that go through the network at a time. Memory grows with it; results do not depend on it but by
  // rounding.
  int64_t tokens_per_pass = 2048;
  // Fills a folder with the model as it stands: called for the best weights.
  std::function<void(const std::filesystem::path& folder, const TrainingState::Best& best, const Metrics& metrics)>
      write_model;
  Progress& progress;
  std::function<bool()> stop_requested;  // looked at after every step and every pass of an evaluation
};

class Trainer {
 public:
  explicit Trainer(TrainerSetup setup);

  int64_t total_steps() const { return total_steps_; }
  const TrainingState& state() const { return state_; }

  // Takes the newest checkpoint up. Before run().
  void resume();

  enum class Outcome : uint8_t { finished, interrupted };
  // Trains to the end, or until stop_requested: the step at hand is finished and a checkpoint is there then. Afterwards
  // the best model is in checkpoints.best_folder(state().best->step). Throws std::runtime_error when loss or gradient
  // is not finite; the last checkpoint stays.
  Outcome run();

 private:
  // An optimizer step's texts as the network takes them.
  struct Batches {
    struct Part {  // goes through the network at a time
      TextBatch batch;
      std::vector<int32_t> labels;
    };
    std::vector<Part> parts;
    float total_weight = 0;
    int64_t tokens = 0;
  };
  std::vector<Step> plan(int64_t epoch) const;
  Batches make_batches(const Step& texts) const;
  void run_step(const Batches& batches, const std::function<void()>& meanwhile);
  void compute_gradient(const Batches& batches);
  void forward_backward(const Batches::Part& part, float total_weight, Span loss);
  void update(double lr);
  void require_finite(const char* what, double value) const;
  void compute_probabilities(const TextBatch& batch, Span host);
  bool evaluate();  // false: interrupted, nothing is changed
  void judge(const Metrics& metrics);
  void save();

  TrainerSetup setup_;
  std::vector<int32_t> train_lengths_, val_lengths_;
  std::vector<int64_t> steps_of_epoch_;
  int64_t total_steps_ = 0;
  Schedule schedule_;
  Moments moments_;
  // Of the step, on the device: the gradient's norm, and behind it each part's share of the loss.
  Tensor numbers_;
  TrainingState state_;
  std::unique_ptr<RunLog> log_;       // while run() runs
  std::optional<double> shown_loss_;  // on the progress bar
};

}  // namespace aid::train
