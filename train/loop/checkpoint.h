// Checkpoints: everything that a training run needs to go on bit for bit. A run's work folder has
//   checkpoint-STEP/   training.safetensors: each parameter's value and AdamW's two moments; state.json: the rest
//   best-STEP/         the model directory of the best evaluation so far
//   log.csv            a line per step and per evaluation
// Every folder appears whole (io::AtomicDirectory), and the ones that a new checkpoint replaces are removed after it is
// there: whenever the process dies, the newest checkpoint and the best model that it names are whole.
// Nothing random is stored: every draw is a function of (seed, step).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/core/buffer.h"
#include "nn/parameter.h"

namespace aid::train {

struct TrainingState {
  int64_t step = 0;                      // optimizer steps done
  int64_t epoch = 0, step_in_epoch = 0;  // place of the next one
  bool evaluation_due = false;           // interrupted between a step and its evaluation
  struct Best {
    int64_t step = 0;
    double value = 0;  // of the metric that decides
    std::map<std::string, double> metrics;
  };
  std::optional<Best> best;
  int64_t evaluations_without_better = 0;
  bool stopped_early = false;
  int64_t log_lines = 0;  // of log.csv, written up to this step
};

// AdamW's first and second moment of every parameter, in the order of the parameters; zero at first.
class Moments {
 public:
  explicit Moments(std::span<const nn::Parameter> parameters, Device device = Device::cpu);
  Span m(size_t parameter) const { return slices_[parameter].m; }
  Span v(size_t parameter) const { return slices_[parameter].v; }

 private:
  struct Slice {
    Span m, v;
  };
  Tensor memory_;
  std::vector<Slice> slices_;
};

// Where a run to --out DIR works until it is done: DIR.training.
std::filesystem::path work_folder_of(const std::filesystem::path& out);

class Checkpoints {
 public:
  // identity: what a run that resumes must share with the one that wrote (recipe, data, model), name -> value.
  Checkpoints(std::filesystem::path work_folder, std::map<std::string, std::string> identity);

  const std::filesystem::path& work_folder() const { return work_folder_; }
  std::filesystem::path best_folder(int64_t step) const;
  std::filesystem::path log_file() const { return work_folder_ / "log.csv"; }

  // The newest checkpoint, if there is one.
  std::optional<std::filesystem::path> newest() const;

  // Then prunes. Throws io::Error; the older checkpoints stay then. What is queued on a stream is not waited for.
  void write(const TrainingState& state, std::span<const nn::Parameter> parameters, const Moments& moments,
             int64_t keep) const;

  // Reads the newest checkpoint into the parameters and moments. Throws io::Error where there is none, where it was
  // written under another identity (naming every difference), and where tensors are missing or of another size.
  TrainingState read(std::span<nn::Parameter> parameters, Moments& moments) const;

  // Removes all checkpoints but the newest `keep`, and all best models but the one that the state names.
  void prune(const TrainingState& state, int64_t keep) const;

 private:
  std::filesystem::path work_folder_;
  std::map<std::string, std::string> identity_;
};

}  // namespace aid::train
