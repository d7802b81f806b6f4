// spaCy's text categorizers on the GPU: the scores that spaCy gives.
#include <gtest/gtest.h>

#include "tests/train/spacy/golden_pipeline.h"
#include "tests/train/spacy/golden_training.h"

namespace aid::train::test {
namespace {

TEST(SpacyTextCatOnGpu, ScoresAreSpacys) {
  const TextCatGolden& golden = TextCatGolden::get();
  // But for the longest, which take the software GPU a minute.
  std::vector<std::string> texts;
  std::vector<size_t> numbers;
  for (size_t i = 0; i < golden.texts.size(); ++i) {
    if (golden.texts[i].size() > 200) continue;
    texts.push_back(golden.texts[i]);
    numbers.push_back(i);
  }
  for (const auto& [name, expected] : golden.scores) {
    SCOPED_TRACE(name);
    const GoldenPipeline pipeline(name);
    TextCatRun run(pipeline.path(), {.threads = 1, .target = Target::cuda});
    std::vector<std::vector<double>> scores;
    for (const size_t i : numbers) scores.push_back(expected[i]);
    expect_scores(run.scores(texts), scores, texts);
  }
}

// Nothing but documents without tokens, which have no rows: the scores are those of the biases.
TEST(SpacyTextCatOnGpu, DocumentsWithoutTokens) {
  for (const char* name : {"bow_v3", "reduce_all_multi", "ensemble_v2"}) {
    SCOPED_TRACE(name);
    const GoldenPipeline pipeline(name);
    TextCatRun run(pipeline.path(), {.threads = 1, .target = Target::cuda});
    const auto& expected = TextCatGolden::get().scores.at(name).front();  // of ""
    expect_scores(run.scores({"", ""}), {expected, expected}, {"", ""});
  }
}

std::vector<Evaluation> train(Target target, const std::string& name, double dropout) {
  const Workplace place;
  TextCatTraining training = place.training(name);
  training.settings = {{"training", "max_steps", "4"}, {"training", "dropout", std::to_string(dropout)}};
  Stream s({.threads = 1, .target = target});
  Progress quiet(Progress::Style::quiet);
  train_textcat(s, training, quiet, [] { return false; });
  return evaluations_of(place.out() / "log.csv");
}

// The first steps of the runs that tests/train/spacy/training_test.cpp follows on the CPU, with its tolerance.
TEST(SpacyTextCatOnGpu, TrainsAsSpacyDoes) {
  for (const char* name : kTrained) {
    SCOPED_TRACE(name);
    const nlohmann::json expected = training_golden(name)["evaluations"];
    for (const Evaluation& found : train(Target::cuda, name, 0)) {
      const nlohmann::json& theirs = expected[static_cast<size_t>(found.at("step")) / 4];
      EXPECT_NEAR(found.at("loss"), theirs["loss"].get<double>(), 5e-4 * theirs["loss"].get<double>());
    }
  }
}

// Dropout's masks are the CPU's.
TEST(SpacyTextCatOnGpu, TrainsWithDropoutAsOnTheCpu) {
  for (const char* name : {"ensemble", "attention_multilabel"}) {
    SCOPED_TRACE(name);
    const auto expected = train(default_target(), name, 0.3), found = train(Target::cuda, name, 0.3);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(found[i].at("loss"), expected[i].at("loss"), 1e-5 * expected[i].at("loss")) << i;
    }
  }
}

}  // namespace
}  // namespace aid::train::test
