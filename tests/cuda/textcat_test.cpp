// spaCy's text categorizers on the GPU: the scores that spaCy gives.
#include <gtest/gtest.h>

#include "tests/train/spacy/golden_pipeline.h"

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

}  // namespace
}  // namespace aid::train::test
