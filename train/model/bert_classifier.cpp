#include "train/model/bert_classifier.h"

#include <algorithm>
#include <cmath>

#include "io/error.h"
#include "tokenizer/tokenizer.h"
#include "train/model/hf_model.h"
#include "train/model/packed_classifier.h"
#include "train/model/run_record.h"
#include "train/text/text_encoder.h"

namespace aid::train {
namespace {

// Enough rows to keep the matrix library at its best speed: on a CPU twice or four times as many gain nothing
// measurable. A GPU has a hundred times the processors to fill.
int64_t usual_tokens_per_pass(Device device) { return device == Device::cuda ? 16384 : 1024; }

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

// What the network computes at once: a document, or a window of a long one.
struct TokenSequence {
  std::vector<int32_t> ids;

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
};

int64_t tokens_per_pass(const OpenOptions& options) {
  return options.tokens_per_pass.value_or(usual_tokens_per_pass(device_of(options.stream.target)));
}

class BertDocumentClassifier final : public PackedClassifier<TokenSequence> {
 public:
  BertDocumentClassifier(const std::filesystem::path& folder, const OpenOptions& options)
      : PackedClassifier(tokens_per_pass(options), io::Blank::refused),
        record_(read_run_record(folder)),
        stream_(options.stream),
        compute_(compute_type(options.precision, stream_)),
        model_(open_for_inference(folder, compute_, stream_.device())),
        tokenizer_(tokenizer::Tokenizer::load(
            folder, {.nfc = record_ && record_->nfc, .special_tokens_in_text = options.special_tokens_in_text})),
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

 private:
  std::vector<TokenSequence> encode(const std::string& utf8, std::vector<std::string>& notes) override {
    EncodedTexts encoded;
    encoder_.encode(utf8, encoded);
    if (encoded.cut > 0) {
      notes.push_back("longer than the " + std::to_string(encoder_.options().max_length) +
                      " tokens that the model takes, read in part (" + name_of(encoder_.options().policy) + ")");
    }
    std::vector<TokenSequence> sequences;
    for (int64_t s = 0; s < encoded.sequences(); ++s) {
      const auto ids = encoded.sequence(s);
      sequences.push_back({{ids.begin(), ids.end()}});
    }
    return sequences;
  }

  void compute(std::span<const TokenSequence> sequences, Span rows) override {
    nn::TokenBatch batch{.cu_seqlens = {0}};
    for (const TokenSequence& sequence : sequences) {
      batch.ids.insert(batch.ids.end(), sequence.ids.begin(), sequence.ids.end());
      batch.cu_seqlens.push_back(static_cast<int32_t>(batch.ids.size()));
    }
    stream_.repeat(batch.cu_seqlens, [&] { stream_.download(rows, model_.network.forward(stream_, batch)); });
  }

  std::vector<float> scores_of(const std::vector<double>& mean) const override { return softmax(mean); }

  std::optional<RunRecord> record_;
  Stream stream_;
  DType compute_;
  HfModel model_;
  std::string kind_ = model_.config.model.architecture == nn::BertConfig::Architecture::bert ? "beto" : "distilbeto";
  tokenizer::Tokenizer tokenizer_;
  TextEncoder encoder_;
};

}  // namespace

std::unique_ptr<Classifier> open_bert_classifier(const std::filesystem::path& folder, const OpenOptions& options) {
  return std::make_unique<BertDocumentClassifier>(folder, options);
}

}  // namespace aid::train
