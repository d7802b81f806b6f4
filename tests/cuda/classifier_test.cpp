// Documents through a model on the GPU: batches of one shape as graphs, the CPU's verdicts.
#include "train/model/classifier.h"

#include <gtest/gtest.h>

#include "tests/cuda/calls.h"
#include "tests/io/test_files.h"

namespace aid::train::test {
namespace {

using aid::test::Calls;
using io::test::TemporaryFolder;

std::vector<float> scores_of(const std::vector<std::filesystem::path>& files, const Stream::Options& stream) {
  const auto classifier = open_classifier(AID_SOURCE_DIR "/tests/golden/hf/bert",
                                          {.stream = stream, .precision = Precision::f32, .tokens_per_pass = 1024});
  std::vector<float> scores;
  classifier->classify(files, [&](size_t, const Verdict& verdict) {
    EXPECT_EQ(verdict.error, "");
    scores.insert(scores.end(), verdict.scores.begin(), verdict.scores.end());
    return true;
  });
  return scores;
}

// The first batch goes by itself, the second is captured, the third is the graph again, with other texts at each place.
TEST(ClassifierOnGpu, BatchesOfOneShapeAreOneGraph) {
  const TemporaryFolder folder;
  io::test::put(folder / "a.txt", "la ley y el acta");
  io::test::put(folder / "b.txt", "el acta y la ley");
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < 450; ++i) files.push_back(folder / (i % 4 == 0 ? "a.txt" : "b.txt"));
  const Calls before;
  const std::vector<float> scores = scores_of(files, {.threads = 1, .target = Target::cuda});
  const Calls with = Calls() - before;
  EXPECT_EQ(with.graphs, 1u);
  EXPECT_EQ(with.launches, 2u);
  EXPECT_EQ(with.changed_kernels + with.changed_copies, 0u);
  const std::vector<float> expected = scores_of({files[0], files[1]}, {.threads = 1});
  const size_t classes = expected.size() / 2;
  ASSERT_EQ(scores.size(), files.size() * classes);
  for (size_t i = 0; i < scores.size(); ++i) {
    const size_t same = i / classes % 4 == 0 ? i % classes : classes + i % classes;  // of the first such text
    EXPECT_EQ(scores[i], scores[same]) << i;
    EXPECT_NEAR(scores[i], expected[same], 1e-5f) << i;
  }
}

}  // namespace
}  // namespace aid::train::test
