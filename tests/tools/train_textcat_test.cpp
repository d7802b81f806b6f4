// `aid train textcat` as a user runs it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/tools/workplace.h"
#include "train/spacy/write_pipeline.h"

namespace aid::tools::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string command(const Workplace& place, const std::string& more = "") {
  return "train textcat --train " + quoted(place.train) + " --val " + quoted(place.val) + " --out " +
         quoted(place.out) + " " + more;
}

TEST(TrainTextCatProgram, WritesAPipelineThatTheOtherCommandsOpen) {
  const Workplace place;
  put(place.train / "ley/binario.txt", std::string("\0\1\2", 3));
  const Outcome run =
      run_aid(command(place, "--max-steps 30 --eval-every 10 --lr 0.005 --seed 3 --dropout 0.2 --threads 1"));
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.out, "accuracy 1.0000")) << run.out;
  EXPECT_TRUE(contains(run.err, "ley/binario.txt: not a text"));
  EXPECT_TRUE(contains(run.err, "step     30"));
  EXPECT_FALSE(fs::exists(place.out.string() + ".training"));

  const json record = json::parse(io::read_text(place.out / "aid.json"));
  EXPECT_EQ(record["kind"], "textcat");
  EXPECT_EQ(record["labels"], (json{"contrato", "ley"}));
  EXPECT_EQ(record["data"]["version"], 7);
  EXPECT_EQ(record["hyperparameters"]["dropout"], 0.2);
  EXPECT_EQ(record["seed"], 3);
  // What was asked for stands in the configuration, so that the next run finds it there.
  const std::string config = io::read_text(place.out / "config.cfg");
  for (const char* line : {"learn_rate = 0.005\n", "max_steps = 30\n", "\nseed = 3\n"}) {
    EXPECT_TRUE(contains(config, line)) << line << config;
  }

  const Outcome predicted = run_aid("predict " + quoted(place.out) + " " + quoted(place.val));
  EXPECT_EQ(predicted.status, 0) << predicted.err;
  EXPECT_TRUE(contains(predicted.out, R"("label":"contrato")"));
  EXPECT_EQ(run_aid("eval " + quoted(place.out) + " " + quoted(place.val)).status, 0);
  EXPECT_TRUE(contains(run_aid("info " + quoted(place.out)).out, "spacy.TextCatEnsemble.v2"));

  // The same bits again, from another number of threads.
  const auto files = [&] {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(place.out)) {
      if (entry.is_regular_file()) found[entry.path().filename()] = io::read_text(entry.path());
    }
    return found;
  };
  const auto first = files();
  const Outcome again = run_aid(
      command(place, "--max-steps 30 --eval-every 10 --lr 0.005 --seed 3 --dropout 0.2 --overwrite --threads 3"));
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_TRUE(files() == first);

  // From its weights, and from new ones in its configuration.
  const fs::path further = place.folder / "further";
  const std::string from = "train textcat --train " + quoted(place.train) + " --val " + quoted(place.val) + " --out " +
                           quoted(further) + " --model " + quoted(place.out) + " --max-steps 1 --overwrite ";
  EXPECT_TRUE(contains(run_aid(from).out, "accuracy 1.0000"));
  const Outcome anew = run_aid(from + "--from-scratch");
  EXPECT_EQ(anew.status, 0) << anew.err;
  EXPECT_FALSE(contains(anew.out, "accuracy 1.0000"));
}

TEST(TrainTextCatProgram, RefusesWhatItCannotDo) {
  const Workplace place;
  const auto refused = [&](const std::string& more, std::initializer_list<const char*> said) {
    const Outcome run = run_aid(command(place, more));
    EXPECT_EQ(run.status, 2) << more << "\n" << run.err;
    for (const char* text : said) EXPECT_TRUE(contains(run.err, text)) << text << "\n" << run.err;
    EXPECT_FALSE(fs::exists(place.out));
    EXPECT_FALSE(fs::exists(place.out.string() + ".training"));
  };
  refused("--dropout 1", {"dropout is 1", "less than 1"});
  refused("--precision bf16", {"f32"});
  refused("--lang fr", {"--lang", "es"});
  const auto with = [&](const std::string& section, const std::string& key, const std::string& value) {
    const fs::path file = place.folder / "config.cfg";
    const std::string config = io::read_text(AID_SOURCE_DIR "/tests/golden/spacy_training/bag/config.cfg");
    put(file, train::set_in_config(config, section, key, value));
    return "--config " + quoted(file);
  };
  refused(with("training", "before_update", "{\"@callbacks\":\"mine\"}"),
          {"config.cfg", "[training]", "before_update"});
  refused(with("training.optimizer", "@optimizers", "\"SGD.v1\""), {"[training.optimizer]", "SGD.v1", "Adam.v1"});
  refused(with("training.batcher", "@batchers", "\"mine.v1\""), {"[training.batcher]", "mine.v1", "batch_by_words"});
  refused(with("nlp", "lang", "\"de\""), {"\"de\"", "es", "--model"});
  refused(with("nlp", "pipeline", "[\"tagger\",\"textcat\"]"), {"tagger"});
  refused("--config /nonexistent", {"/nonexistent"});
  // What the command line says would not be heard.
  const std::string schedule = with("training.optimizer.learn_rate", "@schedules", "\"warmup_linear.v1\"");
  refused("--lr 0.1 " + schedule, {"config.cfg", "[training.optimizer.learn_rate]", "leave the option out"});
  put(place.out / "x", "mine");
  const Outcome there = run_aid(command(place));
  EXPECT_EQ(there.status, 2);
  EXPECT_TRUE(contains(there.err, "is there already") && contains(there.err, "--overwrite"));
  EXPECT_EQ(io::read_text(place.out / "x"), "mine");
}

// Runs until it has a best model, then gets the signal.
int stopped(const Workplace& place, int signal) {
  const pid_t child = fork();
  if (child == 0) {
    const std::string shell = "exec " AID_PROGRAM " " + command(place, "--max-steps 0 --patience 0 --eval-every 5") +
                              " >/dev/null 2>" + quoted(place.folder / "err");
    execl("/bin/sh", "sh", "-c", shell.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  while (!fs::exists(place.out.string() + ".training/best") && waitpid(child, nullptr, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ::kill(child, signal);
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(TrainTextCatProgram, CtrlCEndsItWithTheBestSoFar) {
  const Workplace place;
  const int status = stopped(place, SIGINT);
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_TRUE(contains(io::read_text(place.folder / "err"), "the best so far; interrupted"));
  EXPECT_EQ(run_aid("eval " + quoted(place.out) + " " + quoted(place.val)).status, 0);
  EXPECT_FALSE(fs::exists(place.out.string() + ".training"));
}

TEST(TrainTextCatProgram, AKillLeavesTheBestSoFarWhereTheNextRunTells) {
  const Workplace place;
  EXPECT_TRUE(WIFSIGNALED(stopped(place, SIGKILL)));
  EXPECT_FALSE(fs::exists(place.out));
  const fs::path best = place.out.string() + ".training/best";
  EXPECT_EQ(run_aid("eval " + quoted(best) + " " + quoted(place.val)).status, 0);
  const Outcome next = run_aid(command(place, "--max-steps 1"));
  EXPECT_EQ(next.status, 2);
  EXPECT_TRUE(contains(next.err, best.string()) && contains(next.err, "--overwrite")) << next.err;
  EXPECT_TRUE(fs::exists(best));
  EXPECT_EQ(run_aid(command(place, "--max-steps 1 --overwrite")).status, 0);
}

}  // namespace
}  // namespace aid::tools::test
