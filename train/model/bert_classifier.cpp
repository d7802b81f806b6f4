#include "train/model/bert_classifier.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "io/dataset.h"
#include "io/error.h"
#include "tokenizer/tokenizer.h"
#include "train/model/hf_model.h"
#include "train/model/run_record.h"
#include "train/text/text_encoder.h"

namespace aid::train {
namespace {

// Enough rows to keep the matrix library at its best speed: on a CPU twice or four times as many gain nothing
// measurable. A GPU has a hundred times the processors to fill.
int64_t usual_tokens_per_pass(Device device) { return device == Device::cuda ? 16384 : 1024; }
// Files that are read and tokenized at a time.
constexpr size_t kFilesPerRead = 16;

// As the model was trained, unless the user says otherwise.
LongOptions long_options(const std::filesystem::path& folder, const std::optional<RunRecord>& record,
                         const OpenOptions& options, int64_t max_positions, size_t tokenizer_max_length) {
  LongOptions result{.max_length =
                         static_cast<int64_t>(std::min(static_cast<size_t>(max_positions), tokenizer_max_length))};
  if (record) result = record->texts;
  result.policy = options.long_policy.value_or(result.policy);
  result.max_length = options.max_length.value_or(result.max_length);
  result.stride = options.stride.value_or(result.stride);
  result.max_windows = options.max_windows.value_or(result.max_windows);
  if (result.max_length > max_positions) {
    throw io::Error("max length " + std::to_string(result.max_length) + ": " + (folder / "config.json").string() +
                    " has " + std::to_string(max_positions) + " positions (max_position_embeddings)");
  }
  return result;
}

std::vector<float> softmax(const std::vector<double>& logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double x : logits) sum += std::exp(x - most);
  std::vector<float> scores;
  scores.reserve(logits.size());
  for (const double x : logits) scores.push_back(static_cast<float>(std::exp(x - most) / sum));
  return scores;
}

class BertDocumentClassifier final : public Classifier {
 public:
  BertDocumentClassifier(const std::filesystem::path& folder, const OpenOptions& options)
      : record_(read_run_record(folder)),
        stream_(options.stream),
        compute_(compute_type(options.precision, stream_)),
        model_(open_for_inference(folder, compute_, stream_.device())),
        tokenizer_(tokenizer::Tokenizer::load(
            folder, {.nfc = record_ && record_->nfc, .special_tokens_in_text = options.special_tokens_in_text})),
        tokens_per_pass_(options.tokens_per_pass.value_or(usual_tokens_per_pass(stream_.device()))),
        encoder_(tokenizer_, long_options(folder, record_, options, model_.config.model.max_positions,
                                          tokenizer_.model_max_length())) {
    check_vocabulary(folder, model_.config, tokenizer_);
    if (record_ && record_->labels != labels()) {
      throw io::Error((folder / kRunRecordFile).string() + " and " + (folder / "config.json").string() +
                      " have different labels; expected the same list in both: one of the files is another model's");
    }
    model_.network.update_weights(stream_);
  }

  const std::string& kind() const override { return kind_; }
  const std::vector<std::string>& labels() const override { return model_.config.labels; }
  const std::vector<std::string>& notes() const override { return model_.notes; }
  Stream& stream() override { return stream_; }
  DType compute() const override { return compute_; }

  void classify(std::span<const std::filesystem::path> files,
                const std::function<bool(size_t, const Verdict&)>& sink) override {
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

 private:
  // A document that was read and whose verdict was not yet told.
  struct Document {
    Verdict verdict;
    std::vector<double> logits;  // sum over its sequences
    int64_t sequences = 0, sequences_left = 0;
  };
  struct Sequence {
    size_t file;
    std::vector<int32_t> ids;
  };
  // Of one classify().
  struct State {
    std::span<const std::filesystem::path> files;
    size_t read = 0, told = 0;       // files so far
    std::deque<Document> documents;  // files [told, read)
    std::deque<Sequence> waiting;    // to be computed, in order
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
      EncodedTexts encoded;
    };
    std::vector<Read> reads(files.size());
    stream_.team().tasks(static_cast<int64_t>(files.size()), [&](int64_t f) {
      auto& [document, encoded] = reads[static_cast<size_t>(f)];
      std::vector<io::Skipped> skipped;
      const std::optional<io::Text> text = io::load_text(files[static_cast<size_t>(f)], skipped);
      if (!text) {
        document.verdict.error = skipped.front().reason;
        return;
      }
      if (text->encoding != io::Encoding::utf8 && text->encoding != io::Encoding::utf8_bom) {
        document.verdict.notes.push_back("read as " + std::string(io::encoding_name(text->encoding)));
      }
      encoder_.encode(text->utf8, encoded);
      if (encoded.cut > 0) {
        document.verdict.notes.push_back("longer than the " + std::to_string(encoder_.options().max_length) +
                                         " tokens that the model takes, read in part (" +
                                         name_of(encoder_.options().policy) + ")");
      }
      document.sequences = document.sequences_left = encoded.sequences();
    });
    for (auto& [document, encoded] : reads) {
      for (int64_t s = 0; s < encoded.sequences(); ++s) {
        const auto ids = encoded.sequence(s);
        state.waiting.push_back({state.read, {ids.begin(), ids.end()}});
        state.waiting_tokens += static_cast<int64_t>(ids.size());
      }
      document.logits.resize(labels().size());
      state.documents.push_back(std::move(document));
      ++state.read;
    }
  }

  // Computes sequences from the front of the queue until a batch is full.
  void compute_batch(State& state) {
    nn::TokenBatch batch{.cu_seqlens = {0}};
    std::vector<size_t> file_of;
    while (!state.waiting.empty()) {
      const Sequence& next = state.waiting.front();
      const auto tokens = static_cast<int64_t>(next.ids.size());
      if (!file_of.empty() && batch.tokens() + tokens > tokens_per_pass_) break;
      batch.ids.insert(batch.ids.end(), next.ids.begin(), next.ids.end());
      batch.cu_seqlens.push_back(static_cast<int32_t>(batch.ids.size()));
      file_of.push_back(next.file);
      state.waiting_tokens -= tokens;
      state.waiting.pop_front();
    }
    const auto classes = static_cast<int64_t>(labels().size());
    logits_.resize(static_cast<size_t>(batch.sequences() * classes));
    stream_.repeat(batch.cu_seqlens, [&] {
      const CSpan logits = model_.network.forward(stream_, batch);
      stream_.download(matrix(logits_.data(), batch.sequences(), classes), logits);
    });
    fill(state);  // while a GPU works
    stream_.synchronize();
    for (size_t s = 0; s < file_of.size(); ++s) {
      Document& document = state.documents[file_of[s] - state.told];
      const float* row = logits_.data() + s * document.logits.size();
      for (size_t label = 0; label < document.logits.size(); ++label)
        document.logits[label] += static_cast<double>(row[label]);
      --document.sequences_left;
    }
    stream_.release();
  }

  static const Verdict& verdict_of(Document& document) {
    if (document.sequences == 0) return document.verdict;  // could not be read
    for (double& logit : document.logits) logit /= static_cast<double>(document.sequences);
    document.verdict.scores = softmax(document.logits);
    return document.verdict;
  }

  std::optional<RunRecord> record_;
  Stream stream_;
  DType compute_;
  HfModel model_;
  std::vector<float> logits_;  // of a batch
  std::string kind_ = model_.config.model.architecture == nn::BertConfig::Architecture::bert ? "beto" : "distilbeto";
  tokenizer::Tokenizer tokenizer_;
  int64_t tokens_per_pass_;
  TextEncoder encoder_;
};

}  // namespace

std::unique_ptr<Classifier> open_bert_classifier(const std::filesystem::path& folder, const OpenOptions& options) {
  return std::make_unique<BertDocumentClassifier>(folder, options);
}

}  // namespace aid::train
