// The pipelines of tests/golden/spacy_textcat (spacy_textcat.py made them) as spaCy would have them on a disk, and what
// spaCy says of the texts there.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/file.h"
#include "io/gzip.h"
#include "tests/io/test_files.h"
#include "train/spacy/document_features.h"
#include "train/spacy/pipeline.h"

namespace aid::train::test {

inline const std::filesystem::path kTextCats = AID_SOURCE_DIR "/tests/golden/spacy_textcat";

// A golden pipeline whose files a test may change.
class GoldenPipeline {
 public:
  explicit GoldenPipeline(const std::string& name) : path_(folder_ / "pipeline") {
    namespace fs = std::filesystem;
    fs::copy(kTextCats / name, path_, fs::copy_options::recursive);
    fs::copy(AID_SOURCE_DIR "/tests/golden/spacy/es/tokenizer", path_ / "tokenizer");
    for (const char* component : {"clases", "palabras"}) {
      const fs::path zipped = path_ / component / "model.gz";
      if (!fs::exists(zipped)) continue;
      io::test::put(path_ / component / "model", io::gunzip(io::read_text(zipped), zipped.string()));
      fs::remove(zipped);
    }
  }
  const std::filesystem::path& path() const { return path_; }

  // Replaces each occurrence of `from` in a file, of which there must be one.
  void replace(const std::string& file, const std::string& from, const std::string& to) const {
    std::string text = io::read_text(path_ / file);
    size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    for (; at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
    io::test::put(path_ / file, text);
  }

 private:
  io::test::TemporaryFolder folder_;
  std::filesystem::path path_;
};

struct TextCatGolden {
  std::vector<std::string> texts;
  std::map<std::string, std::vector<std::vector<double>>> scores;  // by pipeline, for each text

  static const TextCatGolden& get() {
    static const TextCatGolden golden = [] {
      TextCatGolden read;
      const auto json = nlohmann::json::parse(io::read_text(kTextCats / "scores.json"));
      for (const auto& [text, times] : json["texts"].get<std::vector<std::pair<std::string, int>>>()) {
        read.texts.emplace_back();
        for (int i = 0; i < times; ++i) read.texts.back() += text;
      }
      read.scores = json["scores"];
      return read;
    }();
    return golden;
  }
};

// Scores of texts, computed together: [texts, labels].
class TextCatRun {
 public:
  TextCatRun(const std::filesystem::path& folder, const Stream::Options& options)
      : stream_(options), pipeline_(open_textcat_pipeline(folder, stream_.device())) {
    pipeline_.network.update_weights(stream_);
  }
  const TextCatPipeline& pipeline() const { return pipeline_; }

  std::vector<float> scores(const std::vector<std::string>& texts) {
    const FeatureReader reader(pipeline_.architecture, pipeline_.vectors ? &*pipeline_.vectors : nullptr);
    std::vector<DocumentFeatures> features;
    for (const std::string& text : texts) {
      std::vector<tokenizer::spacy::Token> tokens;
      pipeline_.tokenizer.tokenize(text, tokens);
      features.push_back(reader.read(text, tokens));
    }
    std::vector<const DocumentFeatures*> documents;
    for (const DocumentFeatures& document : features) documents.push_back(&document);
    const auto rows = static_cast<int64_t>(texts.size()), labels = static_cast<int64_t>(pipeline_.labels.size());
    std::vector<float> scores(static_cast<size_t>(rows * labels));
    stream_.download(matrix(scores.data(), rows, labels), pipeline_.network.forward(stream_, reader.batch(documents)));
    stream_.synchronize();
    stream_.release();
    return scores;
  }

 private:
  Stream stream_;
  TextCatPipeline pipeline_;
};

// How far a score may be from spaCy's. 3e-6: products in another order and, with attention by keys, spaCy's own
// approximation of the normal distribution (1.5e-7), stretched by the normalisation of rows that have hardly any
// spread. 1e-8 a byte of the text: spaCy adds a document's rows up one after the other in f32, half a unit of the last
// place (3e-8) for each token. Sums (no_output_layer) may be larger than 1.
inline double score_tolerance(double score, const std::string& text) {
  return (3e-6 + 1e-8 * static_cast<double>(text.size())) * std::max(1.0, std::abs(score));
}

inline void expect_scores(const std::vector<float>& found, const std::vector<std::vector<double>>& expected,
                          const std::vector<std::string>& texts) {
  const size_t labels = expected.front().size();
  ASSERT_EQ(found.size(), expected.size() * labels);
  for (size_t i = 0; i < found.size(); ++i) {
    const double exact = expected[i / labels][i % labels];
    const std::string& text = texts[i / labels];
    EXPECT_NEAR(found[i], exact, score_tolerance(exact, text)) << "label " << i % labels << " of " << text;
  }
}

}  // namespace aid::train::test
