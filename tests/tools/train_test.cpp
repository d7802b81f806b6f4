// `aid train` as a user runs it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "io/weights/safetensors.h"
#include "tests/tools/workplace.h"

namespace aid::tools::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kWeights = R"({"contrato": 2, "ley": 0.5})";

// A training that has begun, and waits in a pipe for the file of its class weights.
struct WaitingTraining {
  WaitingTraining(const Workplace& place, const std::string& more) : err(place.folder / "err") {
    const fs::path pipe = place.folder / "pipe";
    EXPECT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    const std::string shell = "exec " AID_PROGRAM " " + place.command(more + " --class-weights " + quoted(pipe)) +
                              " >/dev/null 2>" + quoted(err);
    child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", shell.c_str(), static_cast<char*>(nullptr));
      _exit(127);
    }
    // Possible once the program reads from the pipe.
    while ((weights = open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 &&
           waitpid(child, nullptr, WNOHANG) == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  Outcome finish() {
    EXPECT_EQ(write(weights, kWeights, std::strlen(kWeights)), static_cast<ssize_t>(std::strlen(kWeights)));
    close(weights);
    int status = -1;
    waitpid(child, &status, 0);
    return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1, .out = "", .err = io::read_text(err)};
  }

  fs::path err;
  pid_t child;
  int weights;
};

// Neither a model nor the folder that training works in.
void expect_nothing_left(const Workplace& place) {
  for (const auto& entry : fs::directory_iterator(place.folder.path())) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("out")) << entry.path();
  }
}

TEST(TrainProgram, WritesAModelThatTheOtherCommandsOpen) {
  const Workplace place;
  put(place.train / "ley/binario.txt", std::string("\0\1\2", 3));
  put(place.train / "ley/windows.txt", "la ley del a\xf1o");
  const Outcome run = run_aid(place.command("--epochs 2"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.out, "accuracy "));
  EXPECT_TRUE(contains(run.err, "ley/binario.txt: not a text"));
  EXPECT_TRUE(contains(run.err, "files left out: 1\n"));
  EXPECT_TRUE(contains(run.err, "24 in UTF-8, 1 in Windows-1252"));
  EXPECT_TRUE(contains(run.err, "[UNK]: "));
  EXPECT_TRUE(contains(run.err, "longer than --max-length 12: "));
  EXPECT_TRUE(contains(run.err, "--lr 3e-05"));
  EXPECT_FALSE(fs::exists(place.out.string() + ".training"));

  const json record = json::parse(io::read_text(place.out / "aid.json"));
  EXPECT_EQ(record["kind"], "beto");
  EXPECT_EQ(record["labels"], (json{"contrato", "ley"}));
  EXPECT_EQ(record["data"]["version"], 7);
  EXPECT_EQ(record["data"]["train_texts"], 25);
  EXPECT_EQ(record["texts"]["max_length"], 12);
  const json validation = json::parse(io::read_text(place.out / "validation.json"));
  EXPECT_EQ(validation["accuracy"], record["metrics"]["accuracy"]);

  // Evaluating the model on the same texts gives what training said of it.
  const fs::path report = place.folder / "report.json";
  EXPECT_EQ(
      run_aid("eval " + quoted(place.out) + " " + quoted(place.val) + " --threads 1 --json " + quoted(report)).status,
      0);
  const json evaluated = json::parse(io::read_text(report))["metrics"];
  EXPECT_EQ(evaluated["confusion"], validation["confusion"]);
  EXPECT_NEAR(evaluated["log_loss"].get<double>(), validation["log_loss"].get<double>(), 1e-6);
  EXPECT_EQ(run_aid("info " + quoted(place.out)).status, 0);
}

TEST(TrainProgram, ResumesAfterAnInterruptionBitForBit) {
  const Workplace place;
  put(place.folder / "weights.json", kWeights);
  const std::string weights = " --class-weights " + quoted(place.folder / "weights.json");
  ASSERT_EQ(run_aid(place.command("--epochs 40 --seed 3 --precision f32" + weights)).status, 0);
  const auto expected = model_files(place.out);
  fs::remove_all(place.out);

  for (const int signal : {SIGTERM, SIGINT}) {  // as `kill` and Ctrl-C: it ends after its first step
    fs::remove_all(place.out.string() + ".training");
    WaitingTraining training(place, "--epochs 40 --seed 3 --precision f32");
    kill(training.child, signal);
    const Outcome interrupted = training.finish();
    EXPECT_EQ(interrupted.status, 130);
    EXPECT_TRUE(contains(interrupted.err, "interrupted after step 1 of "));
    EXPECT_TRUE(contains(interrupted.err, "with --resume goes on from there"));
    EXPECT_FALSE(fs::exists(place.out));
    EXPECT_TRUE(fs::exists(place.out.string() + ".training/checkpoint-1/state.json"));
    fs::remove(place.folder / "pipe");
  }

  const Outcome again = run_aid(place.command("--epochs 40 --seed 3 --precision f32" + weights));
  EXPECT_EQ(again.status, 2);
  EXPECT_TRUE(contains(again.err, "an unfinished run to the same --out. Go on with --resume"));
  const Outcome other = run_aid(place.command("--epochs 40 --seed 4 --precision f32 --resume" + weights));
  EXPECT_EQ(other.status, 2);
  EXPECT_TRUE(contains(other.err, "seed: was 3, is 4"));
  put(place.val / "ley/nueva.txt", "otra");
  EXPECT_TRUE(contains(run_aid(place.command("--epochs 40 --seed 3 --precision f32 --resume" + weights)).err,
                       "val: was texts with SHA-256"));
  fs::remove(place.val / "ley/nueva.txt");

  const Outcome resumed = run_aid(place.command("--epochs 40 --seed 3 --precision f32 --resume" + weights));
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_TRUE(contains(resumed.err, "resumed after step "));
  const auto found = model_files(place.out);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, bytes] : expected) EXPECT_TRUE(found.at(name) == bytes) << name;
}

TEST(TrainProgram, TwoAtOnceDoNotMix) {
  const Workplace place;
  WaitingTraining first(place, "--epochs 1");
  for (const char* more : {"--epochs 1", "--epochs 1 --overwrite", "--epochs 1 --resume"}) {
    const Outcome second = run_aid(place.command(more));
    EXPECT_EQ(second.status, 2);
    EXPECT_TRUE(contains(second.err, "out.training': another process is working in this folder"));
  }
  const Outcome finished = first.finish();
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_TRUE(fs::exists(place.out));
  EXPECT_FALSE(fs::exists(place.out.string() + ".training"));
}

TEST(TrainProgram, ALimitOnFileSizesIsAMessage) {
  const Workplace place;
  rlimit previous{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &previous), 0);
  const rlimit limit{.rlim_cur = 20 << 10, .rlim_max = previous.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const Outcome run = run_aid(place.command("--epochs 1"));
  setrlimit(RLIMIT_FSIZE, &previous);
  EXPECT_EQ(run.status, 1) << run.err;
  EXPECT_TRUE(contains(run.err, "File too large")) << run.err;
  EXPECT_FALSE(fs::exists(place.out));
  for (const auto& entry : fs::directory_iterator(place.out.string() + ".training")) {
    EXPECT_EQ(entry.path().filename(), "log.csv");  // and no part of a checkpoint
  }
}

TEST(TrainProgram, TakesOptionsFromAFile) {
  const Workplace place;
  put(place.folder / "recipe.toml", "epochs = 1\nlr = 1e-4\nschedule = \"cosine\"\ngroup-by-length = true\nseed = 5\n");
  const Outcome run = run_aid(place.command("--seed 6 --config " + quoted(place.folder / "recipe.toml")));
  EXPECT_EQ(run.status, 0) << run.err;
  const json used = json::parse(io::read_text(place.out / "aid.json"))["hyperparameters"];
  EXPECT_EQ(used["epochs"], 1);
  EXPECT_EQ(used["lr"], 1e-4);
  EXPECT_EQ(used["schedule"], "cosine");
  EXPECT_EQ(used["group-by-length"], true);
  EXPECT_EQ(used["seed"], 6);  // the command line wins

  put(place.folder / "wrong.toml", "epoch = 1\n");
  const Outcome wrong = run_aid(place.command("--overwrite --config " + quoted(place.folder / "wrong.toml")));
  EXPECT_EQ(wrong.status, 2);
  EXPECT_TRUE(contains(wrong.err, "epoch"));
}

TEST(TrainProgram, TakesTrainersNames) {
  const Workplace place;
  const Outcome run =
      run_aid(place.command("--num-train-epochs 1 --learning-rate 1e-4 --weight-decay 0.1 "
                            "--gradient-accumulation-steps 2 --label-smoothing-factor 0.1"));
  EXPECT_EQ(run.status, 0) << run.err;
  const json used = json::parse(io::read_text(place.out / "aid.json"))["hyperparameters"];
  EXPECT_EQ(used["epochs"], 1);
  EXPECT_EQ(used["lr"], 1e-4);
  EXPECT_EQ(used["weight-decay"], 0.1);
  EXPECT_EQ(used["gradient-accumulation"], 2);
  EXPECT_EQ(used["label-smoothing"], 0.1);
}

TEST(TrainProgram, EveryWayToReadLongTextsTrains) {
  const Workplace place;
  for (const char* policy : {"head", "tail", "head-tail", "windows --stride 2 --max-windows 3"}) {
    const Outcome run = run_aid(place.command("--overwrite --epochs 1 --pass-tokens 16 --long " + std::string(policy)));
    EXPECT_EQ(run.status, 0) << policy << ": " << run.err;
  }
}

TEST(TrainProgram, ClassWeightsFromAFile) {
  const Workplace place;
  put(place.folder / "weights.json", kWeights);
  EXPECT_EQ(run_aid(place.command("--epochs 1 --class-weights " + quoted(place.folder / "weights.json"))).status, 0);
  EXPECT_EQ(json::parse(io::read_text(place.out / "aid.json"))["hyperparameters"]["class-weights"], (json{2.0, 0.5}));
  put(place.folder / "weights.json", R"({"contrato": 2, "lei": 0.5})");
  const Outcome wrong =
      run_aid(place.command("--overwrite --epochs 1 --class-weights " + quoted(place.folder / "weights.json")));
  EXPECT_EQ(wrong.status, 2);
  EXPECT_TRUE(contains(wrong.err, "label \"ley\" has no number, expected a weight above 0"));
}

TEST(TrainProgram, RefusesBadInputBeforeTraining) {
  const Workplace place;
  const auto error = [&](const std::string& more) {
    const Outcome run = run_aid(place.command(more));
    EXPECT_EQ(run.status, 2) << more << ": " << run.err;
    expect_nothing_left(place);
    return run.err;
  };
  EXPECT_TRUE(contains(error("--epochs 0"), "--epochs is 0; it takes 1 or more"));
  const auto error_with = [&](const std::string& old, const std::string& now) {
    std::string command = place.command();
    const Outcome run = run_aid(command.replace(command.find(old), old.size(), now));
    EXPECT_EQ(run.status, 2) << run.err;
    return run.err;
  };
  EXPECT_TRUE(contains(error_with("--max-length 12", "--max-length 33"), "has 32 positions (max_position_embeddings)"));
  EXPECT_TRUE(contains(error_with(quoted(kModel), "/nowhere"), "/nowhere"));
  EXPECT_NE(error("--resume --overwrite"), "");
  EXPECT_NE(error("--long middle"), "");
  EXPECT_TRUE(contains(error("--resume"), "no checkpoint to resume"));

  const Outcome kind = run_aid("train distil" + place.command().substr(std::string("train ").size()));
  EXPECT_EQ(kind.status, 2);
  EXPECT_TRUE(contains(kind.err, "this is a beto model; train it with `aid train beto`"));

  put(place.val / "acta/1.txt", "el acta");
  EXPECT_TRUE(contains(error(""), "the labels differ: only in --train " + place.train.string() +
                                      ": none; only in --val " + place.val.string() + ": acta"));
  fs::remove_all(place.val / "acta");
  fs::remove_all(place.train / "ley");
  EXPECT_TRUE(contains(error(""), place.train.string() + "' holds a single label, contrato"));
  put(place.train / "ley/1.txt", std::string("\0\1\2", 3));
  EXPECT_TRUE(contains(error(""), "label ley has no text that can be read"));
}

// Each found before the first step, by a message that names the file.
TEST(TrainProgram, RefusesBrokenModelsAndLeavesNothing) {
  const Workplace place;
  const fs::path goldens = AID_SOURCE_DIR "/tests/golden/weights";
  const auto change = [](const fs::path& file, const std::string& from, const std::string& to) {
    std::string text = io::read_text(file);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    put(file, text.replace(at, from.size(), to));
  };
  struct Fault {
    const char* message;
    std::function<void(const fs::path&)> make;
  };
  const Fault faults[] = {
      {"model.safetensors: ",
       [](const fs::path& model) {
         fs::resize_file(model / "model.safetensors", fs::file_size(model / "model.safetensors") - 1);
       }},
      {"the file is cut short",
       [](const fs::path& model) {
         fs::resize_file(model / "model.safetensors", fs::file_size(model / "model.safetensors") / 2);
       }},
      {"bytes are left over",
       [](const fs::path& model) {
         fs::resize_file(model / "model.safetensors", fs::file_size(model / "model.safetensors") + 8);
       }},
      {"the global 'posix.system' is refused",
       [&](const fs::path& model) {
         fs::remove(model / "model.safetensors");
         fs::copy_file(goldens / "evil_zip.bin", model / "pytorch_model.bin");
       }},
      {"the weights hold 2",
       [&](const fs::path& model) {
         change(model / "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
       }},
      {"the tokenizer has 1001 tokens, config.json and the weights 118",  // a hole before the last one
       [&](const fs::path& model) {
         json tokenizer = json::parse(io::read_text(model / "tokenizer.json"));
         tokenizer["model"]["vocab"]["sobra"] = 1000;
         put(model / "tokenizer.json", tokenizer.dump());
       }},
  };
  for (const Fault& fault : faults) {
    const fs::path model = place.folder / "model";
    fs::remove_all(model);
    fs::copy(kModel, model, fs::copy_options::recursive);
    fault.make(model);
    std::string command = place.command();
    const Outcome run = run_aid(command.replace(command.find(quoted(kModel)), quoted(kModel).size(), quoted(model)));
    EXPECT_EQ(run.status, 2) << run.err;
    EXPECT_TRUE(contains(run.err, fault.message));
    EXPECT_TRUE(contains(run.err, model.string()));
    expect_nothing_left(place);
  }
}

TEST(TrainProgram, DoesNotReplaceAModelUnasked) {
  const Workplace place;
  put(place.out / "mine.txt", "precious");
  const Outcome run = run_aid(place.command("--epochs 1"));
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(contains(run.err, "is there already"));
  EXPECT_EQ(io::read_text(place.out / "mine.txt"), "precious");
  EXPECT_EQ(run_aid(place.command("--epochs 1 --overwrite")).status, 0);
  EXPECT_FALSE(fs::exists(place.out / "mine.txt"));
}

}  // namespace
}  // namespace aid::tools::test
