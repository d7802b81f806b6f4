#include "train/spacy/training/batching.h"

#include <algorithm>
#include <utility>

namespace aid::train {

double Compounding::next() {
  const double value = falls_ ? std::max(value_, stop_) : std::min(value_, stop_);
  value_ *= compound_;
  return value;
}

std::vector<std::vector<size_t>> Batcher::epoch(std::span<const size_t> documents, std::span<const int64_t> words) {
  if (options_.by == BatcherOptions::By::words) return by_words(documents, words);
  std::vector<std::vector<size_t>> batches;
  while (!documents.empty()) {
    const auto count = std::min(std::max<size_t>(static_cast<size_t>(size_.next()), 1), documents.size());
    batches.emplace_back(documents.begin(), documents.begin() + static_cast<std::ptrdiff_t>(count));
    documents = documents.subspan(count);
  }
  return batches;
}

// What is beyond a batch's size and within its tolerance waits in `overflow`, and begins the next batch.
std::vector<std::vector<size_t>> Batcher::by_words(std::span<const size_t> documents, std::span<const int64_t> words) {
  struct Part {
    std::vector<size_t> documents;
    double words = 0;
    void add(size_t document, double count) {
      documents.push_back(document);
      words += count;
    }
  };
  std::vector<std::vector<size_t>> batches;
  double target = size_.next();
  Part batch, overflow;
  const auto most = [&] { return target + target * options_.tolerance; };
  const auto close = [&] {
    if (!batch.documents.empty()) batches.push_back(std::move(batch.documents));
    target = size_.next();
    batch = std::exchange(overflow, Part());
  };
  for (const size_t document : documents) {
    const auto n = static_cast<double>(words[document]);
    if (n > most()) {
      if (!options_.discard_oversize) batches.push_back({document});
      continue;
    }
    if (overflow.documents.empty() && batch.words + n <= target) {
      batch.add(document, n);
      continue;
    }
    if (batch.words + overflow.words + n <= most()) {
      overflow.add(document, n);
      continue;
    }
    close();
    if (batch.words + n <= target) {
      batch.add(document, n);
    } else if (batch.words + n <= most()) {
      overflow.add(document, n);
    } else {
      close();
      batch.add(document, n);
    }
  }
  batch.documents.insert(batch.documents.end(), overflow.documents.begin(), overflow.documents.end());
  if (!batch.documents.empty()) batches.push_back(std::move(batch.documents));
  return batches;
}

std::vector<std::vector<size_t>> subdivide(std::vector<size_t> batch, std::span<const int64_t> words, int64_t parts) {
  std::stable_sort(batch.begin(), batch.end(), [&](size_t a, size_t b) { return words[a] < words[b]; });
  const size_t part_size = batch.size() / static_cast<size_t>(parts);
  std::vector<std::vector<size_t>> result;
  for (auto at = batch.begin(); at != batch.end();) {
    const bool rest = part_size == 0 || result.size() == static_cast<size_t>(parts);
    const auto end = rest ? batch.end() : at + static_cast<std::ptrdiff_t>(part_size);
    result.emplace_back(at, end);
    at = end;
  }
  return result;
}

}  // namespace aid::train
