#include "train/loop/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "io/error.h"
#include "tests/io/test_files.h"
#include "tests/train/tiny_training.h"
#include "train/model/hf_model.h"

namespace aid::train {
namespace {

const std::vector<std::string> kNone;

using io::test::contains;
using io::test::error_of;
using io::test::TemporaryFolder;
using test::differences;
using test::files_of;
using test::log_of;
using test::TinyRun;

// Steps of a run's log: those lines have a loss.
std::vector<std::vector<std::string>> steps_of(const std::filesystem::path& folder) {
  auto lines = log_of(folder);
  std::erase_if(lines, [](const auto& line) { return line[2].empty() || line[2] == "loss"; });
  return lines;
}

// Ten steps under transformers' Trainer itself: label smoothing, decay groups, schedules, warm-up, clipping.
TEST(Trainer, TakesTheStepsOfTransformersTrainer) {
  const std::filesystem::path golden = AID_SOURCE_DIR "/tests/golden/trainer";
  const auto json = nlohmann::json::parse(io::read_text(golden / "golden.json"));
  LabelledTexts data{.labels = json["labels"]};
  for (const auto& ids : json["ids"].get<std::vector<std::vector<int32_t>>>()) {
    data.texts.ids.insert(data.texts.ids.end(), ids.begin(), ids.end());
    data.texts.sequence_begin.push_back(static_cast<int64_t>(data.texts.ids.size()));
    data.texts.first_sequence.push_back(data.texts.sequences());
  }
  for (const auto& [name, run] : json["runs"].items()) {
    // In one pass, and a text at a time: gradients of a step's parts add up to the step's.
    for (const int64_t tokens_per_pass : {10000, 1}) {
      SCOPED_TRACE(name + ", passes of " + std::to_string(tokens_per_pass));
      const auto& options = run["options"];
      const TemporaryFolder folder;
      Stream stream({.threads = 2});
      HfModel model = open_for_training(golden, {.labels = {"LABEL_0", "LABEL_1", "LABEL_2"}});
      const Checkpoints checkpoints(folder.path(), {});
      Progress progress(Progress::Style::quiet);
      Trainer trainer({.stream = stream,
                       .network = model.network,
                       .train = data,
                       .val = data,
                       .labels = model.config.labels,
                       .recipe = {.epochs = 10,
                                  .lr = options["lr"],
                                  .batch_size = 12,
                                  .schedule = *schedule_from_name(options["schedule"].get<std::string>()),
                                  .warmup_steps = options["warmup_steps"],
                                  .weight_decay = options["weight_decay"],
                                  .max_grad_norm = options["max_grad_norm"],
                                  .label_smoothing = options["label_smoothing"]},
                       .checkpoints = checkpoints,
                       .tokens_per_pass = tokens_per_pass,
                       .write_model = [](const auto&, const auto&, const auto&) {},
                       .progress = progress,
                       .stop_requested = [] { return false; }});
      EXPECT_EQ(trainer.run(), Trainer::Outcome::finished);
      const auto steps = steps_of(folder.path());
      ASSERT_EQ(steps.size(), 10u);
      for (size_t i = 0; i < steps.size(); ++i) {
        const double loss = run["loss"][i], norm = run["grad_norm"][i], lr = run["lr"][i];
        // Two f32 programs that add in different orders; AdamW's first steps have the sign of the gradient and so
        // amplify a difference in a gradient near 0.
        EXPECT_NEAR(std::stod(steps[i][2]), loss, 2e-5 * loss) << "step " << i + 1;
        EXPECT_NEAR(std::stod(steps[i][4]), norm, 5e-4 * norm) << "step " << i + 1;
        EXPECT_NEAR(std::stod(steps[i][3]), lr, 1e-8 * lr) << "step " << i + 1;
      }
    }
  }
}

TEST(Trainer, LearnsAndKeepsTheBestWeights) {
  const TemporaryFolder folder;
  TinyRun tiny{.folder = folder / "run"};
  tiny.recipe.epochs = 12;
  tiny.recipe.best_metric = BestMetric::loss;
  const auto result = tiny.run();
  EXPECT_EQ(result.outcome, Trainer::Outcome::finished);
  EXPECT_EQ(result.state.step, 36);
  EXPECT_EQ(result.total_steps, 36);
  ASSERT_TRUE(result.state.best);
  EXPECT_GT(result.state.best->metrics.at("accuracy"), 0.8);

  // The best evaluation of the log is the one that was kept, and only that one.
  std::pair<double, int64_t> best{1e9, 0};
  for (const auto& line : log_of(folder / "run")) {
    if (line[5].empty() || line[5] == "val_loss") continue;
    const double loss = std::stod(line[5]);
    if (loss < best.first) best = {loss, std::stoll(line[0])};
  }
  EXPECT_EQ(result.state.best->step, best.second);
  const auto files = files_of(folder / "run");
  EXPECT_EQ(files.size(), 4u);
  EXPECT_TRUE(files.contains("best-" + std::to_string(best.second) + "/model.safetensors"));
  EXPECT_TRUE(files.contains("checkpoint-36/state.json"));
}

TEST(Trainer, LastKeepsTheLastWeights) {
  const TemporaryFolder folder;
  TinyRun tiny{.folder = folder / "run"};
  tiny.recipe.best_metric = BestMetric::last;
  tiny.recipe.eval_every = 4;  // of 6: the end is evaluated all the same
  const auto result = tiny.run();
  EXPECT_EQ(result.state.best->step, 6);
}

TEST(Trainer, StopsEarlyWhenNothingGetsBetter) {
  const TemporaryFolder folder;
  TinyRun tiny{.folder = folder / "run"};
  tiny.recipe.lr = 1e-12;  // accuracy stays what it was
  tiny.recipe.epochs = 9;
  tiny.recipe.early_stopping = 2;
  const auto result = tiny.run();
  EXPECT_EQ(result.outcome, Trainer::Outcome::finished);
  EXPECT_TRUE(result.state.stopped_early);
  EXPECT_EQ(result.state.step, 9);  // three evaluations, at the end of epochs of three steps: one best, two not better
  EXPECT_EQ(result.state.best->step, 3);
  // The end of a run that stopped early is its end for a resumed run too.
  EXPECT_EQ(tiny.run(true).state.step, 9);
}

TEST(Trainer, PassesDoNotChangeTheStep) {
  const TemporaryFolder folder;
  TinyRun one{.folder = folder / "one", .windows = 4, .tokens_per_pass = 100000};
  TinyRun many = one;
  many.folder = folder / "many";
  many.tokens_per_pass = 20;  // shorter than many texts of several windows: these are computed in several passes
  EXPECT_EQ(one.run().outcome, Trainer::Outcome::finished);
  EXPECT_EQ(many.run().outcome, Trainer::Outcome::finished);
  const auto expected = steps_of(folder / "one"), found = steps_of(folder / "many");
  ASSERT_EQ(expected.size(), found.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    // Dropout is on, so this also says that a text's mask does not depend on its pass. Sums are rounded differently.
    EXPECT_NEAR(std::stod(found[i][2]), std::stod(expected[i][2]), 1e-4) << "step " << i + 1;
  }
}

TEST(Trainer, EveryStepDrawsNewDropout) {
  const TemporaryFolder folder;
  TinyRun tiny{.folder = folder / "run", .texts = 1};
  tiny.recipe.lr = 1e-30;  // the same text, the same weights: only dropout differs
  tiny.run();
  const auto steps = steps_of(folder / "run");
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_NE(steps[0][2], steps[1][2]);
}

TEST(Trainer, GradientAccumulationIsALargerBatch) {
  const TemporaryFolder folder;
  TinyRun large{.folder = folder / "large"};
  TinyRun accumulated{.folder = folder / "accumulated"};
  accumulated.recipe.batch_size = 4;
  accumulated.recipe.gradient_accumulation = 4;
  large.run();
  accumulated.run();
  EXPECT_EQ(log_of(folder / "large"), log_of(folder / "accumulated"));
}

TEST(Trainer, ClassWeightsChangeTheLoss) {
  const TemporaryFolder folder;
  TinyRun plain{.folder = folder / "plain"}, ones{.folder = folder / "ones"}, weighted{.folder = folder / "weighted"};
  ones.recipe.class_weights = {1, 1, 1};
  weighted.recipe.class_weights = {5, 1, 1};
  plain.run();
  ones.run();
  weighted.run();
  EXPECT_EQ(steps_of(folder / "plain"), steps_of(folder / "ones"));
  EXPECT_NE(steps_of(folder / "plain"), steps_of(folder / "weighted"));
}

TEST(Trainer, BalancedClassWeightsAreScikitLearns) {
  // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1]) with the absent class 2 at 0.
  const std::vector<int32_t> labels{0, 0, 0, 1};
  EXPECT_EQ(balanced_class_weights(labels, 2), (std::vector<float>{4.0f / 6, 2.0f}));
  EXPECT_EQ(balanced_class_weights(labels, 3), (std::vector<float>{4.0f / 9, 4.0f / 3, 0}));
}

TEST(Trainer, SameSeedSameBits) {
  const TemporaryFolder folder;
  TinyRun a{.folder = folder / "a", .threads = 2}, b{.folder = folder / "b", .threads = 2}, c{.folder = folder / "c"};
  c.recipe.seed = 43;
  a.run();
  b.run();
  c.run();
  EXPECT_EQ(differences(files_of(folder / "a"), files_of(folder / "b")), kNone);
  EXPECT_NE(steps_of(folder / "a"), steps_of(folder / "c"));
}

TEST(Trainer, DeterministicGivesTheSameBitsForAnyNumberOfThreads) {
  const TemporaryFolder folder;
  TinyRun one{.folder = folder / "1", .threads = 1, .deterministic = true};
  one.run();
  for (const int threads : {2, 3}) {
    TinyRun more = one;
    more.folder = folder / std::to_string(threads);
    more.threads = threads;
    more.run();
    EXPECT_EQ(differences(files_of(one.folder), files_of(more.folder)), kNone) << threads << " threads";
  }
}

TEST(Trainer, DivergenceStopsTheRunAndKeepsTheLastCheckpoint) {
  const TemporaryFolder folder;
  TinyRun tiny{.folder = folder / "run"};
  int looks = 0;
  tiny.save_every = 2;
  tiny.stop_requested = [&] { return ++looks == 2; };
  ASSERT_EQ(tiny.run().outcome, Trainer::Outcome::interrupted);
  const auto before = files_of(folder / "run");

  nn::BertClassifier* network = nullptr;
  tiny.change_network = [&](nn::BertClassifier& n) { network = &n; };
  tiny.stop_requested = [&] {
    network->parameters()[0].trained_value.as<float>()[4 * 32] = std::numeric_limits<float>::quiet_NaN();
    return false;
  };
  try {
    tiny.run(true);
    FAIL() << "trained on with NaN";
  } catch (const std::runtime_error& error) {
    EXPECT_TRUE(contains(error.what(), "training diverged: at step 4 of 6 the")) << error.what();
    EXPECT_TRUE(contains(error.what(), "nan"));
    EXPECT_TRUE(contains(error.what(), "checkpoint-2"));
  }
  auto after = files_of(folder / "run");
  std::erase_if(after, [](const auto& file) { return file.first.starts_with("best-"); });
  EXPECT_EQ(differences(after, before), kNone);
}

TEST(Trainer, RefusesARecipeThatMakesNoSense) {
  const auto message = [](const Recipe& recipe) {
    try {
      check(recipe);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message({}), "");
  EXPECT_EQ(message({.epochs = 0}), "--epochs is 0; it takes 1 or more");
  EXPECT_EQ(message({.lr = -2e-5}), "--lr is -2e-05; it takes a number above 0");
  EXPECT_EQ(message({.lr = -1}), "--lr is -1; it takes a number above 0");
  EXPECT_EQ(message({.label_smoothing = 1}), "--label-smoothing is 1; it takes 0 or more, below 1");
  EXPECT_TRUE(contains(message({.best_metric = BestMetric::last, .early_stopping = 1}), "nothing says what is better"));
}

}  // namespace
}  // namespace aid::train
