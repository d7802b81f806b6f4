// What classifiers of documents have in common: files are read and encoded on all threads, sequences of many documents
// packed into batches, and verdicts told in the order of the files.
#pragma once

#include <algorithm>
#include <deque>

#include "io/dataset.h"
#include "train/model/classifier.h"

namespace aid::train {

// Sequence: what the model computes at once, a document or a part of one. It has tokens().
template <class Sequence>
class PackedClassifier : public Classifier {
 public:
  void classify(std::span<const std::filesystem::path> files,
                const std::function<bool(size_t, const Verdict&)>& sink) final {
    State state{.files = files};
    while (state.told < files.size()) {
      fill(state);
      if (!state.waiting.empty()) compute_batch(state);
      for (; !state.documents.empty() && state.documents.front().sequences_left == 0; ++state.told) {
        if (!sink(state.told, verdict_of(state.documents.front()))) return;
        state.documents.pop_front();
      }
    }
  }

 protected:
  PackedClassifier(int64_t tokens_per_pass, io::Blank blank) : tokens_per_pass_(tokens_per_pass), blank_(blank) {}

  // A document's sequences, at least one; called from several threads at once. May add to the notes.
  virtual std::vector<Sequence> encode(const std::string& utf8, std::vector<std::string>& notes) = 0;
  // Queues what computes a row of each sequence, and its download into `rows`, f32 [sequences, labels].
  virtual void compute(std::span<const Sequence> batch, Span rows) = 0;
  // The scores of a document: of the mean of its sequences' rows.
  virtual std::vector<float> scores_of(const std::vector<double>& mean) const = 0;

 private:
  // Files that are read and encoded at a time.
  static constexpr size_t kFilesPerRead = 16;

  // A document that was read and whose verdict was not yet told.
  struct Document {
    Verdict verdict;
    std::vector<double> sum;  // of its sequences' rows
    int64_t sequences = 0, sequences_left = 0;
  };
  struct Waiting {
    size_t file;
    Sequence sequence;
  };
  // Of one classify().
  struct State {
    std::span<const std::filesystem::path> files;
    size_t read = 0, told = 0;       // files so far
    std::deque<Document> documents;  // files [told, read)
    std::deque<Waiting> waiting;     // to be computed, in order
    int64_t waiting_tokens = 0;
  };

  // Reads files until a batch waits.
  void fill(State& state) {
    while (state.waiting_tokens < tokens_per_pass_ && state.read < state.files.size()) read_some(state);
  }

  void read_some(State& state) {
    const auto files = state.files.subspan(state.read, std::min(kFilesPerRead, state.files.size() - state.read));
    struct Read {
      Document document;
      std::vector<Sequence> sequences;
    };
    std::vector<Read> reads(files.size());
    stream().team().tasks(static_cast<int64_t>(files.size()), [&](int64_t f) {
      auto& [document, sequences] = reads[static_cast<size_t>(f)];
      std::vector<io::Skipped> skipped;
      const std::optional<io::Text> text = io::load_text(files[static_cast<size_t>(f)], skipped, blank_);
      if (!text) {
        document.verdict.error = skipped.front().reason;
        return;
      }
      if (text->encoding != io::Encoding::utf8 && text->encoding != io::Encoding::utf8_bom) {
        document.verdict.notes.push_back("read as " + std::string(io::encoding_name(text->encoding)));
      }
      sequences = encode(text->utf8, document.verdict.notes);
      document.sequences = document.sequences_left = static_cast<int64_t>(sequences.size());
    });
    for (auto& [document, sequences] : reads) {
      for (Sequence& sequence : sequences) {
        state.waiting_tokens += sequence.tokens();
        state.waiting.push_back({state.read, std::move(sequence)});
      }
      document.sum.resize(labels().size());
      state.documents.push_back(std::move(document));
      ++state.read;
    }
  }

  // Computes sequences from the front of the queue until a batch is full.
  void compute_batch(State& state) {
    std::vector<Sequence> batch;
    std::vector<size_t> file_of;
    int64_t tokens = 0;
    while (!state.waiting.empty()) {
      auto& [file, next] = state.waiting.front();
      if (!batch.empty() && tokens + next.tokens() > tokens_per_pass_) break;
      tokens += next.tokens();
      file_of.push_back(file);
      batch.push_back(std::move(next));
      state.waiting.pop_front();
    }
    state.waiting_tokens -= tokens;
    const auto classes = static_cast<int64_t>(labels().size());
    rows_.resize(batch.size() * labels().size());
    compute(batch, matrix(rows_.data(), static_cast<int64_t>(batch.size()), classes));
    fill(state);  // while a GPU works
    stream().synchronize();
    for (size_t s = 0; s < file_of.size(); ++s) {
      Document& document = state.documents[file_of[s] - state.told];
      const float* row = rows_.data() + s * document.sum.size();
      for (size_t label = 0; label < document.sum.size(); ++label)
        document.sum[label] += static_cast<double>(row[label]);
      --document.sequences_left;
    }
    stream().release();
  }

  const Verdict& verdict_of(Document& document) const {
    if (document.sequences == 0) return document.verdict;  // could not be read
    for (double& value : document.sum) value /= static_cast<double>(document.sequences);
    document.verdict.scores = scores_of(document.sum);
    return document.verdict;
  }

  int64_t tokens_per_pass_;
  io::Blank blank_;
  std::vector<float> rows_;  // of a batch
};

}  // namespace aid::train
