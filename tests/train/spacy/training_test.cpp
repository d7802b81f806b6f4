// Against what spaCy does: tests/golden/spacy_training.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/error.h"
#include "tests/train/spacy/golden_training.h"
#include "train/model/classifier.h"
#include "train/spacy/training/batching.h"
#include "train/spacy/training/doc_bin.h"
#include "train/spacy/training/random.h"
#include "train/spacy/training/textcat_scores.h"
#include "train/spacy/write_pipeline.h"

namespace aid::train::test {
namespace {

using nlohmann::json;
TEST(SpacyTraining, DrawsWhatPythonAndNumpyDraw) {
  for (const json& expected : training_golden()["random"]) {
    SCOPED_TRACE(expected["seed"].dump());
    PythonRandom python(expected["seed"].get<uint32_t>());
    for (const json& shuffled : expected["shuffled"]) {
      std::vector<int> list(shuffled.size());
      for (size_t i = 0; i < list.size(); ++i) list[i] = static_cast<int>(i);
      python.shuffle(list);
      EXPECT_EQ(list, shuffled.get<std::vector<int>>());
    }
    NumpyRandom numpy(expected["seed"].get<uint32_t>());
    for (const json& value : expected["uniform"]) EXPECT_EQ(numpy.uniform(-0.1, 0.1), value.get<double>());
    // Of the same bits; NumPy's logarithm may be another library's.
    for (const json& value : expected["normal"]) EXPECT_DOUBLE_EQ(numpy.normal(), value.get<double>());
    for (const json& value : expected["again"]) EXPECT_EQ(numpy.uniform(0, 1), value.get<double>());
  }
}

TEST(SpacyTraining, MakesSpacysBatches) {
  for (const json& expected : training_golden()["batches"]) {
    Batcher batcher({.start = expected["start"],
                     .stop = expected["stop"],
                     .compound = expected["compound"],
                     .tolerance = expected["tolerance"],
                     .discard_oversize = expected["discard"]});
    const auto lengths = expected["lengths"].get<std::vector<int64_t>>();
    for (const json& epoch : expected["epochs"]) {
      EXPECT_EQ(batcher.epoch(epoch["order"].get<std::vector<size_t>>(), lengths),
                epoch["batches"].get<std::vector<std::vector<size_t>>>());
    }
  }
}

TEST(SpacyTraining, BatchesOfDocumentsAndTheirParts) {
  using Batches = std::vector<std::vector<size_t>>;
  const std::vector<size_t> order = {4, 3, 2, 1, 0};
  const std::vector<int64_t> words = {5, 1, 4, 1, 3};
  Batcher batcher({.by = BatcherOptions::By::sequences, .start = 2, .stop = 3, .compound = 1.5});
  EXPECT_EQ(batcher.epoch(order, words), (Batches{{4, 3}, {2, 1, 0}}));
  EXPECT_EQ(subdivide(order, words, 1), (Batches{{3, 1, 4, 2, 0}}));
  EXPECT_EQ(subdivide(order, words, 2), (Batches{{3, 1}, {4, 2}, {0}}));
  EXPECT_EQ(subdivide(order, words, 9), (Batches{{3, 1, 4, 2, 0}}));
}

TEST(SpacyTraining, ScoresWhatSpacyScores) {
  for (const json& expected : training_golden()["scores"]) {
    const auto scores = expected["scores"].get<std::vector<float>>(),
               truth = expected["truth"].get<std::vector<float>>();
    const auto found = score_cats({.labels = 3, .exclusive = expected["exclusive"], .scores = scores, .truth = truth});
    for (const auto& [name, value] : expected["expected"].items()) {
      EXPECT_NEAR(found.at(name), value.get<double>(), 1e-12) << name;
    }
  }
}

TEST(SpacyTraining, ReadsSpacysCollections) {
  for (const auto& [part, documents] : training_golden()["documents"].items()) {
    const std::vector<DocBinDocument> found = read_doc_bin(kTrainings / (part + ".spacy"));
    ASSERT_EQ(found.size(), documents.size());
    for (size_t d = 0; d < found.size(); ++d) {
      EXPECT_EQ(found[d].utf8, documents[d][1].get<std::string>());
      std::vector<std::pair<std::string, double>> cats;
      for (const char* label : {"acta", "contrato", "factura"})
        cats.emplace_back(label, documents[d][0] == label ? 1 : 0);
      EXPECT_EQ(found[d].cats, cats);
    }
  }
}

std::string refusal_of(const std::string& bytes) {
  const io::test::TemporaryFolder folder;
  io::test::put(folder / "x.spacy", bytes);
  try {
    read_doc_bin(folder / "x.spacy");
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "nothing";
}

TEST(SpacyTraining, BrokenCollectionsAreRefused) {
  using ::testing::HasSubstr;
  const std::string whole = io::read_text(kTrainings / "dev.spacy");
  EXPECT_EQ(refusal_of(whole), "nothing");
  EXPECT_THAT(refusal_of(whole.substr(0, whole.size() / 2)), HasSubstr("x.spacy: the zlib data ends early"));
  EXPECT_THAT(refusal_of("no collection"), HasSubstr("x.spacy: the zlib data is damaged"));
  EXPECT_THAT(refusal_of(io::read_text(kTrainings / "unknown_spaces.spacy")), HasSubstr("has_unknown_spaces"));
}

// Of folders and of collections the same run comes.
TEST(SpacyTraining, LearnsFromCollections) {
  const Workplace place;
  TextCatTraining training = place.training("reduce");
  const auto run = [&] {
    Stream s({.threads = 1});
    Progress quiet(Progress::Style::quiet);
    training.overwrite = true;
    train_textcat(s, training, quiet, [] { return false; });
    return io::read_text(place.out() / "textcat/model");
  };
  const std::string of_folders = run();
  training.train = kTrainings / "train.spacy";
  training.val = kTrainings / "dev.spacy";
  EXPECT_TRUE(run() == of_folders);
  training.val = kTrainings;  // a folder of collections, all of them
  EXPECT_THROW(run(), io::Error);
}

TEST(SpacyTraining, SettingsStandInTheConfig) {
  const std::string config = "[a]\nx = 1\nxy = 2\n\n[a.b]\nx = 3\n";
  EXPECT_EQ(set_in_config(config, "a", "x", "5"), "[a]\nx = 5\nxy = 2\n\n[a.b]\nx = 3\n");
  EXPECT_EQ(set_in_config(config, "a.b", "x", "5"), "[a]\nx = 1\nxy = 2\n\n[a.b]\nx = 5\n");
  EXPECT_EQ(set_in_config(config, "a", "z", "5"), "[a]\nx = 1\nxy = 2\n\nz = 5\n\n[a.b]\nx = 3\n");
  EXPECT_EQ(set_in_config(config, "a.b", "z", "5"), config + "z = 5\n");
  EXPECT_EQ(set_in_config(config, "c", "z", "5"), config + "\n[c]\nz = 5\n");
}

class SpacyTrainingOf : public ::testing::TestWithParam<const char*> {};

// Losses and scores of each evaluation up to the best, and the best model's scores of each document. Sums have other
// orders than spaCy's, and where a gradient is almost nothing Adam makes a whole step of its rounding.
TEST_P(SpacyTrainingOf, FollowsSpacys) {
  const Workplace place;
  const json expected = training_golden(GetParam());
  Stream s({.threads = 2});
  Progress quiet(Progress::Style::quiet);
  const TextCatResult result = train_textcat(s, place.training(GetParam()), quiet, [] { return false; });
  EXPECT_EQ(result.end, TextCatResult::End::steps);
  EXPECT_EQ(result.step, 20);

  // Labels that do not exclude each other are scored by the ranks of the documents: two that are as good as equal may
  // change places, which is one of the 8 * 16 pairs of one of the 3 labels.
  const bool ranks = std::string(GetParam()).ends_with("_multilabel");
  const double score_tolerance = 1e-6 + (ranks ? 1.0 / (8 * 16 * 3) : 0);
  const std::vector<Evaluation> found = evaluations_of(place.out() / "log.csv");
  ASSERT_GT(found.size(), 0u);
  ASSERT_LE(found.size(), expected["evaluations"].size());
  for (size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(i);
    const json& theirs = expected["evaluations"][i];
    EXPECT_EQ(found[i].at("step"), theirs["step"].get<double>());
    EXPECT_EQ(found[i].at("epoch"), theirs["epoch"].get<double>());
    EXPECT_NEAR(found[i].at("loss"), theirs["loss"].get<double>(), 5e-4 * theirs["loss"].get<double>());
    EXPECT_NEAR(found[i].at("score"), theirs["score"].get<double>(), score_tolerance);
  }
  Evaluation best;
  for (const json& evaluation : expected["evaluations"]) {
    if (best.empty() || evaluation["score"].get<double>() >= best["score"]) best = evaluation.get<Evaluation>();
  }
  EXPECT_EQ(static_cast<double>(result.best_step), best["step"]);

  const auto model = open_classifier(place.out(), {.stream = {.threads = 2}});
  EXPECT_EQ(model->labels(), (std::vector<std::string>{"acta", "contrato", "factura"}));
  model->classify(place.validation(), [&](size_t file, const Verdict& verdict) {
    for (size_t k = 0; k < verdict.scores.size(); ++k) {
      EXPECT_NEAR(verdict.scores[k], expected["scores"][file][k].get<double>(), 2e-3) << file << ", " << k;
    }
    return true;
  });
}

INSTANTIATE_TEST_SUITE_P(All, SpacyTrainingOf, ::testing::ValuesIn(kTrained),
                         [](const auto& given) { return std::string(given.param); });

}  // namespace
}  // namespace aid::train::test
