// `aid predict`, `aid eval` and `aid info` of a spaCy pipeline.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/tools/program.h"
#include "tests/train/spacy/golden_pipeline.h"

namespace aid::tools {
namespace {

using nlohmann::json;
using test::contains;
using test::Outcome;
using test::put;
using test::quoted;
using test::run_aid;
using test::TemporaryFolder;
using train::test::GoldenPipeline;
using train::test::score_tolerance;
using train::test::TextCatGolden;

// The golden's texts as files, but for those that a file of text cannot be; with their scores of a pipeline.
struct Texts {
  TemporaryFolder folder;
  std::vector<std::vector<double>> scores;

  explicit Texts(const std::string& pipeline) {
    const TextCatGolden& golden = TextCatGolden::get();
    for (size_t i = 0; i < golden.texts.size(); ++i) {
      if (golden.texts[i].find('\x01') != std::string::npos) continue;
      put(folder / ("texts/" + std::to_string(100 + i) + ".txt"), golden.texts[i]);
      scores.push_back(golden.scores.at(pipeline)[i]);
    }
  }
};

// Small passes, so that documents are read while others wait. A file of nothing is a document, too.
TEST(SpacyTextCatProgram, PredictGivesSpacysScores) {
  for (const char* name : {"ensemble_v2", "reduce_all_multi", "bow_v3_multi"}) {
    SCOPED_TRACE(name);
    const GoldenPipeline pipeline(name);
    const Texts texts(name);
    for (const char* more : {"", " --pass-tokens 20 --threads 1", " --pass-tokens 300 --threads 3 --precision f32"}) {
      const Outcome run =
          run_aid("predict " + quoted(pipeline.path()) + " " + quoted(texts.folder / "texts") + " --device cpu" + more);
      ASSERT_EQ(run.status, 0) << run.err;
      std::istringstream lines(run.out);
      size_t row = 0;
      for (std::string line; std::getline(lines, line); ++row) {
        const json found = json::parse(line);
        const std::vector<double>& expected = texts.scores.at(row);
        double best = 0;
        size_t label = 0;
        for (const auto& [its, score] : found["scores"].items()) {
          (void)its;
          best = std::max(best, score.get<double>());
        }
        for (const char* each : {"ACTA", "informe", "ñandú"}) {
          EXPECT_NEAR(found["scores"][each].get<double>(), expected[label], score_tolerance(1, std::string(1200, ' ')));
          ++label;
        }
        EXPECT_EQ(found["score"].get<double>(), best);
        EXPECT_EQ(found["scores"][found["label"].get<std::string>()].get<double>(), best);
      }
      EXPECT_EQ(row, texts.scores.size());
    }
  }
}

TEST(SpacyTextCatProgram, EvalCountsItsVerdicts) {
  const GoldenPipeline pipeline("cnn_v2_multi");
  const TextCatGolden& golden = TextCatGolden::get();
  const std::vector<std::string> labels = {"ACTA", "informe", "ñandú"};
  const TemporaryFolder folder;
  int right = 0, all = 0;
  for (size_t i = 4; i < 24; ++i, ++all) {
    const auto& scores = golden.scores.at("cnn_v2_multi")[i];
    const auto best = static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    const size_t truth = i % 3;
    put(folder / ("data/" + labels[truth] + "/" + std::to_string(i) + ".txt"), golden.texts[i]);
    right += truth == best ? 1 : 0;
  }
  const Outcome run = run_aid("eval " + quoted(pipeline.path()) + " " + quoted(folder / "data") + " --json " +
                              quoted(folder / "metrics.json"));
  ASSERT_EQ(run.status, 0) << run.err;
  const json report = json::parse(io::read_text(folder / "metrics.json"));
  EXPECT_EQ(report["kind"], "spacy.TextCatCNN.v2");
  EXPECT_NEAR(report["metrics"]["accuracy"].get<double>(), static_cast<double>(right) / all, 1e-12);
}

TEST(SpacyTextCatProgram, InfoSaysWhatAPipelineIs) {
  const GoldenPipeline pipeline("listener_vectors_multi");
  const Outcome run = run_aid("info " + quoted(pipeline.path()));
  EXPECT_EQ(run.status, 0) << run.err;
  for (const char* part :
       {"spacy.TextCatEnsemble.v2, component clases", "3: ACTA, informe, ñandú", "of each label by itself",
        "up to 1 words, 64 weights a label", "ORTH in 11 rows", "static vectors of 7",
        "2 of 6, window 1, 3 pieces, of the component palabras", "clases/model, palabras/model"}) {
    EXPECT_TRUE(contains(run.out, part));
  }
}

TEST(SpacyTextCatProgram, OptionsOfOtherModelsAreRefused) {
  const GoldenPipeline pipeline("bow_v3");
  const TemporaryFolder folder;
  put(folder / "a.txt", "a");
  for (const char* option : {"--precision bf16", "--long head", "--max-length 9", "--stride 3", "--max-windows 2",
                             "--special-tokens-in-text"}) {
    const Outcome run =
        run_aid("predict " + quoted(pipeline.path()) + " " + quoted(folder / "a.txt") + " --device cpu " + option);
    EXPECT_EQ(run.status, 2) << option;
    EXPECT_TRUE(contains(run.err, "is a spaCy pipeline")) << run.err;
  }
}

}  // namespace
}  // namespace aid::tools
