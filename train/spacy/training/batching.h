// How spaCy makes batches of an epoch's documents (spacy/training/batchers.py, thinc/schedules.py).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace aid::train {

// compounding.v1: start, start * compound, start * compound^2, ... as far as stop. A constant with compound 1.
class Compounding {
 public:
  Compounding(double start, double stop, double compound)
      : falls_(start > stop), value_(start), stop_(stop), compound_(compound) {}
  double next();

 private:
  bool falls_;
  double value_, stop_, compound_;
};

struct BatcherOptions {
  enum class By : uint8_t { words, sequences } by = By::words;
  double start = 100, stop = 1000, compound = 1.001;  // of a batch's size, in words or documents
  double tolerance = 0.2;                             // words: by how much of its size a batch may be larger
  bool discard_oversize = false;                      // words: leave out what is larger than any batch
};

class Batcher {
 public:
  explicit Batcher(const BatcherOptions& options)
      : options_(options), size_(options.start, options.stop, options.compound) {}

  // Of an epoch: the documents in their order, by number; words: how many each has. Sizes go on where the epoch before
  // ended.
  std::vector<std::vector<size_t>> epoch(std::span<const size_t> documents, std::span<const int64_t> words);

 private:
  std::vector<std::vector<size_t>> by_words(std::span<const size_t> documents, std::span<const int64_t> words);

  BatcherOptions options_;
  Compounding size_;
};

// What one optimizer step goes through one after the other: the batch in `parts` of equal size and the rest, by length,
// the shortest first (spacy.util's subdivide_batch).
std::vector<std::vector<size_t>> subdivide(std::vector<size_t> batch, std::span<const int64_t> words, int64_t parts);

}  // namespace aid::train
