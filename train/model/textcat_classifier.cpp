#include "train/model/textcat_classifier.h"

#include <mutex>

#include "io/error.h"
#include "train/model/packed_classifier.h"
#include "train/spacy/document_features.h"
#include "train/spacy/pipeline.h"

namespace aid::train {
namespace {

int64_t usual_tokens_per_pass(Device device) { return device == Device::cuda ? 65536 : 8192; }

struct DocumentSequence {
  DocumentFeatures features;

  // A document without any is something to compute, too.
  int64_t tokens() const { return std::max<int64_t>(features.tokens, 1); }
};

void check_options(const std::filesystem::path& folder, const OpenOptions& options) {
  const auto refuse = [&](const std::string& option, const std::string& why) {
    throw io::Error(option + ": " + folder.string() + " is a spaCy pipeline, " + why + "; leave it out");
  };
  if (options.precision == Precision::bf16 || options.precision == Precision::f16) {
    refuse("--precision", "which computes in f32");
  }
  if (options.long_policy) refuse("--long", "which reads whole documents");
  if (options.max_length) refuse("--max-length", "which reads whole documents");
  if (options.stride) refuse("--stride", "which reads whole documents");
  if (options.max_windows) refuse("--max-windows", "which reads whole documents");
  if (options.special_tokens_in_text) refuse("--special-tokens-in-text", "which has none");
}

const OpenOptions& checked(const std::filesystem::path& folder, const OpenOptions& options) {
  check_options(folder, options);
  return options;
}

// Tokenizers for as many threads as want one at a time: each remembers words.
class TokenizerPool {
 public:
  explicit TokenizerPool(tokenizer::spacy::Tokenizer first) { free_.push_back(std::move(first)); }

  template <class Use>
  auto with(Use&& use) {
    std::optional<tokenizer::spacy::Tokenizer> mine;
    {
      const std::lock_guard lock(mutex_);
      if (free_.size() > 1) {
        mine.emplace(std::move(free_.back()));
        free_.pop_back();
      } else {
        mine.emplace(free_.front());  // a copy, which shares the rules
      }
    }
    auto result = use(*mine);
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(*mine));
    return result;
  }

 private:
  std::mutex mutex_;
  std::vector<tokenizer::spacy::Tokenizer> free_;  // the first stays, to be copied
};

class TextCatClassifier final : public PackedClassifier<DocumentSequence> {
 public:
  TextCatClassifier(const std::filesystem::path& folder, const OpenOptions& options)
      : PackedClassifier(options.tokens_per_pass.value_or(usual_tokens_per_pass(device_of(options.stream.target))),
                         io::Blank::taken),
        stream_(checked(folder, options).stream),
        pipeline_(open_textcat_pipeline(folder, stream_.device())),
        features_(pipeline_.architecture, pipeline_.vectors ? &*pipeline_.vectors : nullptr),
        tokenizers_(pipeline_.tokenizer) {
    pipeline_.network.update_weights(stream_);
  }

  const std::string& kind() const override { return pipeline_.architecture.name; }
  const std::vector<std::string>& labels() const override { return pipeline_.labels; }
  const std::vector<std::string>& notes() const override { return notes_; }
  Stream& stream() override { return stream_; }
  DType compute() const override { return DType::f32; }

 private:
  std::vector<DocumentSequence> encode(const std::string& utf8, std::vector<std::string>&) override {
    std::vector<DocumentSequence> document;
    document.push_back({tokenizers_.with([&](tokenizer::spacy::Tokenizer& tokenizer) {
      std::vector<tokenizer::spacy::Token> tokens;
      tokenizer.tokenize(utf8, tokens);
      return features_.read(utf8, tokens);
    })});
    return document;
  }

  void compute(std::span<const DocumentSequence> documents, Span rows) override {
    std::vector<const DocumentFeatures*> features;
    for (const DocumentSequence& document : documents) features.push_back(&document.features);
    stream_.download(rows, pipeline_.network.forward(stream_, features_.batch(features)));
  }

  std::vector<float> scores_of(const std::vector<double>& scores) const override {
    return {scores.begin(), scores.end()};
  }

  Stream stream_;
  TextCatPipeline pipeline_;
  FeatureReader features_;
  TokenizerPool tokenizers_;
  std::vector<std::string> notes_;
};

}  // namespace

std::unique_ptr<Classifier> open_textcat_classifier(const std::filesystem::path& folder, const OpenOptions& options) {
  return std::make_unique<TextCatClassifier>(folder, options);
}

}  // namespace aid::train
