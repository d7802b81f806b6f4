// Classifier: what every model looks like from outside, whatever it reads and computes.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/core/stream.h"
#include "train/text/text_encoder.h"

namespace aid::train {

// What the model says of one document, or why it says nothing.
struct Verdict {
  std::vector<float> scores;       // probability of each label; empty: the document could not be read
  std::string error;               // then why
  std::vector<std::string> notes;  // what the user should know of the reading ("read as Windows-1252"); mostly none
};

class Classifier {
 public:
  virtual ~Classifier() = default;

  virtual const std::string& kind() const = 0;  // "beto", "distilbeto"
  virtual const std::vector<std::string>& labels() const = 0;
  virtual const std::vector<std::string>& notes() const = 0;  // what opening the model has to tell
  virtual Stream& stream() = 0;
  virtual DType compute() const = 0;

  // Gives every file's verdict to the sink, in the order of the files and as soon as it is known. Holds a few batches
  // in memory, however many files there are. The sink returns false to stop.
  virtual void classify(std::span<const std::filesystem::path> files,
                        const std::function<bool(size_t file, const Verdict& verdict)>& sink) = 0;
};

enum class Precision : uint8_t { best, f32, bf16, f16 };  // best: bf16 where the processor or GPU has it, else f32
// Throws io::Error for f16 without a GPU.
DType compute_type(Precision precision, const Stream& stream);

struct OpenOptions {
  Stream::Options stream;
  Precision precision = Precision::best;
  // A text that reads "[SEP]" means that token only where documents are trusted.
  bool special_tokens_in_text = false;
  // In place of what the model was trained with.
  std::optional<LongPolicy> long_policy;
  std::optional<int64_t> max_length, stride, max_windows;
  // Most tokens that go through the network at a time; left out: what suits the device.
  std::optional<int64_t> tokens_per_pass;
};
// Opens a model directory of any kind. Throws io::Error, tokenizer::Error.
std::unique_ptr<Classifier> open_classifier(const std::filesystem::path& folder, const OpenOptions& options);

}  // namespace aid::train
