// Runs that are interrupted, killed and starved of disk, and what the next one makes of them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>

#include "io/error.h"
#include "tests/io/test_files.h"
#include "tests/train/tiny_training.h"

namespace aid::train {
namespace {

using io::test::contains;
using io::test::error_of;
using io::test::TemporaryFolder;
using test::differences;
using test::files_of;
using test::log_of;
using test::TinyRun;

const std::vector<std::string> kNone;

// Stops a run when it looks for the n-th time.
std::function<bool()> stop_at(int n) {
  return [n, looks = 0]() mutable { return ++looks == n; };
}

TEST(Resume, IsBitForBit) {
  const TemporaryFolder folder;
  for (const DType compute : {DType::f32, DType::bf16}) {
    SCOPED_TRACE(name_of(compute));
    TinyRun straight{.folder = folder / (std::string("straight") + name_of(compute)), .threads = 2, .compute = compute};
    straight.run();
    TinyRun halves = straight;
    halves.folder = folder / (std::string("halves") + name_of(compute));
    halves.stop_requested = stop_at(2);  // in the first epoch of three steps
    const auto first = halves.run();
    EXPECT_EQ(first.outcome, Trainer::Outcome::interrupted);
    EXPECT_EQ(first.state.step, 2);
    halves.stop_requested = [] { return false; };
    const auto second = halves.run(true);
    EXPECT_EQ(second.outcome, Trainer::Outcome::finished);
    EXPECT_EQ(second.state.step, 6);
    EXPECT_EQ(differences(files_of(straight.folder), files_of(halves.folder)), kNone);
    EXPECT_EQ(log_of(straight.folder), log_of(halves.folder));
  }
}

TEST(Resume, AfterEveryPossibleInterruption) {
  const TemporaryFolder folder;
  TinyRun straight{.folder = folder / "straight"};
  straight.recipe.eval_every = 2;
  straight.run();
  const auto expected = files_of(straight.folder);
  int interruptions = 0;
  // Stops are looked for after every step and in every pass of an evaluation: all of them are tried in turn.
  for (int n = 1;; ++n) {
    SCOPED_TRACE("stopped at look " + std::to_string(n));
    TinyRun tiny = straight;
    tiny.folder = folder / std::to_string(n);
    tiny.stop_requested = stop_at(n);
    if (tiny.run().outcome == Trainer::Outcome::finished) break;
    ++interruptions;
    tiny.stop_requested = [] { return false; };
    EXPECT_EQ(tiny.run(true).outcome, Trainer::Outcome::finished);
    EXPECT_EQ(differences(files_of(tiny.folder), expected), kNone);
    EXPECT_EQ(log_of(tiny.folder), log_of(straight.folder));
  }
  EXPECT_GE(interruptions, 6 + 3 * 4);  // six steps, three evaluations of several passes
}

TEST(Resume, IsRefusedUnderAnotherRecipe) {
  const TemporaryFolder folder;
  TinyRun tiny{.folder = folder / "run"};
  tiny.run();
  tiny.recipe.lr = 1e-3;
  tiny.recipe.batch_size = 8;
  const std::string message = error_of([&] { tiny.run(true); });
  EXPECT_TRUE(contains(message, "checkpoint-6: this run differs from the one that wrote the checkpoint"));
  EXPECT_TRUE(contains(message, "\n  lr: was 0.002, is 0.001"));
  EXPECT_TRUE(contains(message, "\n  batch-size: was 16, is 8"));
  EXPECT_FALSE(contains(message, "epochs"));
}

TEST(Resume, NeedsACheckpoint) {
  const TemporaryFolder folder;
  TinyRun tiny{.folder = folder / "run"};
  EXPECT_TRUE(contains(error_of([&] { tiny.run(true); }), "no checkpoint to resume"));
}

// An epoch has three steps.
TEST(Resume, CheckpointsAfterEveryEpochAndEverySoManySteps) {
  const TemporaryFolder folder;
  for (const auto& [every, expected] : {std::pair(0, std::set{3, 6}), {2, std::set{2, 3, 4, 6}}}) {
    TinyRun tiny{.folder = folder / std::to_string(every), .save_every = every, .keep_checkpoints = 10};
    tiny.run();
    std::set<int> steps;
    for (const auto& [name, bytes] : files_of(tiny.folder)) {
      int step = 0;
      if (std::sscanf(name.c_str(), "checkpoint-%d/state.json", &step) == 1) steps.insert(step);
    }
    EXPECT_EQ(steps, expected);
  }
}

TEST(Resume, KeepsAsManyCheckpointsAsAsked) {
  const TemporaryFolder folder;
  TinyRun tiny{.folder = folder / "run", .save_every = 1, .keep_checkpoints = 3};
  tiny.run();
  const auto files = files_of(tiny.folder);
  for (const int step : {4, 5, 6}) EXPECT_TRUE(files.contains("checkpoint-" + std::to_string(step) + "/state.json"));
  EXPECT_EQ(files.size(), 3 * 2 + 2u);
}

TEST(Resume, RemovesWhatADeadProcessHadBegunToRemove) {
  const TemporaryFolder folder;
  TinyRun tiny{.folder = folder / "run"};
  tiny.run();
  const auto expected = files_of(tiny.folder);
  io::test::put(tiny.folder / "checkpoint-3/training.safetensors", "half gone");
  io::test::put(tiny.folder / "best-2/validation.json", "half gone");
  tiny.run(true);
  EXPECT_EQ(differences(files_of(tiny.folder), expected), kNone);
}

TEST(Resume, ADiskThatIsFullKeepsTheOldCheckpoint) {
  const TemporaryFolder folder;
  TinyRun straight{.folder = folder / "straight"};
  straight.run();
  TinyRun tiny{.folder = folder / "run", .save_every = 1};
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  int steps = 0;
  tiny.stop_requested = [&] {
    if (++steps == 2) {
      rlimit small = limit;
      small.rlim_cur = 1000;
      setrlimit(RLIMIT_FSIZE, &small);
    }
    return false;
  };
  const std::string message = error_of([&] { tiny.run(); });
  setrlimit(RLIMIT_FSIZE, &limit);
  EXPECT_TRUE(contains(message, "checkpoint-2"));
  auto names = files_of(tiny.folder);
  EXPECT_EQ(names.size(), 2u);
  EXPECT_TRUE(names.contains("checkpoint-1/training.safetensors"));
  // With room again, the run goes on from there.
  tiny.stop_requested = [] { return false; };
  EXPECT_EQ(tiny.run(true).outcome, Trainer::Outcome::finished);
  EXPECT_EQ(differences(files_of(tiny.folder), files_of(straight.folder)), kNone);
}

constexpr const char* kChildFolder = "AID_TEST_CHILD_FOLDER";

TinyRun killed_run(const std::filesystem::path& folder) {
  TinyRun tiny{.folder = folder, .save_every = 1};
  tiny.recipe.epochs = 8;
  tiny.recipe.eval_every = 1;
  tiny.recipe.best_metric = BestMetric::loss;
  return tiny;
}

// The process that KillAtAnyMoment kills: it goes on from whatever the one before has left.
TEST(ResumeChild, DISABLED_Run) {
  const TinyRun tiny = killed_run(std::getenv(kChildFolder));
  tiny.run(Checkpoints(tiny.folder, {}).newest().has_value());
}

// A program of its own: a fork of this one would inherit threads that do not exist there.
pid_t start_child() {
  const pid_t child = fork();
  if (child == 0) {
    dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
    execl("/proc/self/exe", "train_test", "--gtest_filter=ResumeChild.DISABLED_Run", "--gtest_also_run_disabled_tests",
          "--gtest_brief=1", static_cast<char*>(nullptr));
    _exit(127);
  }
  return child;
}

TEST(Resume, KillAtAnyMoment) {
  const TemporaryFolder folder;
  killed_run(folder / "straight").run();
  const auto expected = files_of(folder / "straight");
  setenv(kChildFolder, (folder / "killed").c_str(), 1);
  int kills = 0;
  for (int attempt = 0;; ++attempt) {
    ASSERT_LT(attempt, 500) << "the run makes no progress";
    const pid_t child = start_child();
    ASSERT_GT(child, 0);
    // Different moments, later ones with every attempt: however slow the machine is, a run gets further in the end.
    std::this_thread::sleep_for(std::chrono::microseconds(8000 + 7919 * attempt % (50000 + 2000 * attempt)));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status)) {
      ASSERT_EQ(WEXITSTATUS(status), 0);
      break;
    }
    ++kills;
  }
  EXPECT_GT(kills, 0);
  EXPECT_EQ(differences(files_of(folder / "killed"), expected), kNone);
  EXPECT_EQ(log_of(folder / "killed"), log_of(folder / "straight"));
}

}  // namespace
}  // namespace aid::train
