#include "tests/tools/program.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "kernels/device/runtime.h"
#include "tokenizer/tokenizer.h"

namespace aid::tools::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<std::string> lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> result;
  for (std::string line; std::getline(in, line);) result.push_back(line);
  return result;
}

// A labelled folder with one text per label.
void put_data(const fs::path& folder) {
  put(folder / "contrato/1.txt", "el contrato de la norma");
  put(folder / "ley/1.txt", "la ley y el acta");
  put(folder / "resolución/1.txt", "resolver no haber");
}

TEST(Program, WrongUsageIsTwo) {
  for (const char* arguments : {"", "nonsense", "predict", "predict model", "eval model dir --precision f8",
                                "predict m p --format xml", "predict m p --long middle", "predict m p --threads -1"}) {
    const Outcome run = run_aid(arguments);
    EXPECT_EQ(run.status, 2) << arguments;
    EXPECT_EQ(run.out, "") << arguments;
    EXPECT_NE(run.err, "") << arguments;
  }
}

TEST(Program, HelpHasAnExample) {
  EXPECT_EQ(run_aid("--help").status, 0);
  for (const char* command : {"train beto", "train distilbeto", "eval", "predict", "tokenize", "info", "metrics",
                              "results", "data list", "data diff", "data verify", "sync"}) {
    const Outcome run = run_aid(std::string(command) + " --help");
    EXPECT_EQ(run.status, 0);
    const size_t example = run.out.find("Example");
    ASSERT_NE(example, std::string::npos) << command << ": " << run.out;
    EXPECT_TRUE(contains(run.out.substr(example), std::string("aid ") + command + " "));
    EXPECT_EQ(run.err, "");
  }
}

TEST(Program, AGpuThatIsNotThereIsSaidAtOnce) {
  if (cuda::unavailable().empty()) GTEST_SKIP() << "this machine has a GPU";
  const Outcome run = run_aid("predict " + quoted(kModel) + " x --device cuda");
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(contains(run.err, "--device: cuda: " + cuda::unavailable() + "; --device cpu works without one"));
}

TEST(Program, F16IsForAGpuAndNotForTraining) {
  const Outcome predicted = run_aid("predict " + quoted(kModel) + " x --device cpu --precision f16");
  EXPECT_EQ(predicted.status, 2);
  EXPECT_TRUE(contains(predicted.err, "--precision f16: the CPU computes in f32 or bf16; expected --device cuda"))
      << predicted.err;
  const Outcome trained =
      run_aid("train beto --model " + quoted(kModel) + " --train x --val x --out y --device cpu --precision f16");
  EXPECT_EQ(trained.status, 2);
  EXPECT_TRUE(contains(trained.err, "--precision f16: small gradients would be zero in training; expected bf16"))
      << trained.err;
}

TEST(Program, AMissingModelIsNamed) {
  const TemporaryFolder folder;
  put(folder / "a.txt", "la ley");
  const Outcome run = run_aid("predict " + quoted(folder / "nothing") + " " + quoted(folder / "a.txt"));
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(contains(run.err, (folder / "nothing").string()));
  EXPECT_EQ(run.out, "");
}

TEST(Predict, OneJsonLineAFileInOrder) {
  const TemporaryFolder folder;
  put(folder / "d/b.txt", "la ley");
  put(folder / "d/a.txt", "el contrato");
  put(folder / "d/sub/c.TXT", "la norma");
  put(folder / "d/.hidden.txt", "no");
  put(folder / "d/image.png", "no text");
  put(folder / "first.md", "named, so it is read");
  const Outcome run =
      run_aid("predict " + quoted(kModel) + " " + quoted(folder / "first.md") + " " + quoted(folder / "d"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.err, "image.png: not a .txt file, left out"));
  const auto found = lines(run.out);
  ASSERT_EQ(found.size(), 4u) << run.out;
  const char* expected[] = {"first.md", "d/a.txt", "d/b.txt", "d/sub/c.TXT"};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(found[i].starts_with("{\"file\":")) << found[i];
    const json line = json::parse(found[i]);
    EXPECT_EQ(line["file"], (folder / expected[i]).string());
    double sum = 0, best = 0;
    for (const auto& [label, score] : line["scores"].items()) {
      sum += score.get<double>();
      best = std::max(best, score.get<double>());
    }
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_EQ(line["score"], best);
    EXPECT_EQ(line["scores"][line["label"].get<std::string>()], best);
    EXPECT_EQ(line["scores"].size(), 3u);
  }
}

TEST(Predict, CsvHasAHeader) {
  const TemporaryFolder folder;
  put(folder / "a, b.txt", "la ley");
  const Outcome run = run_aid("predict " + quoted(kModel) + " " + quoted(folder / "a, b.txt") + " --format csv");
  EXPECT_EQ(run.status, 0) << run.err;
  const auto found = lines(run.out);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], "file,label,score,scores.contrato,scores.ley,scores.resolución");
  EXPECT_TRUE(found[1].starts_with("\"" + (folder / "a, b.txt").string() + "\",")) << found[1];
}

TEST(Predict, PathsComeFromStdinToo) {
  const TemporaryFolder folder;
  put(folder / "a.txt", "la ley");
  put(folder / "list", (folder / "a.txt").string() + "\n\n" + (folder / "a.txt").string() + "\n");
  const Outcome run = run_aid("predict " + quoted(kModel) + " - <" + quoted(folder / "list"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(lines(run.out).size(), 2u);
}

TEST(Predict, StrayFilesAreNamedCountedAndOne) {
  const TemporaryFolder folder;
  put(folder / "d/a.txt", "la ley");
  put(folder / "d/b.txt", std::string("\x7f"
                                      "ELF\0\0\0\1",
                                      8));
  put(folder / "d/c.txt", "  \n");
  put(folder / "d/d.txt", "la norma");
  const Outcome run = run_aid("predict " + quoted(kModel) + " " + quoted(folder / "d") + " " +
                              quoted(folder / "gone.txt") + " --quiet");
  EXPECT_EQ(run.status, 1);
  EXPECT_EQ(lines(run.out).size(), 2u);
  EXPECT_TRUE(contains(run.err, (folder / "d/b.txt").string() + ": "));
  EXPECT_TRUE(contains(run.err, (folder / "d/c.txt").string() + ": "));
  EXPECT_TRUE(contains(run.err, (folder / "gone.txt").string() + ": "));
  EXPECT_TRUE(contains(run.err, "3 of 5 files could not be read"));
}

TEST(Predict, WhatIsLeftOutOfAFolderIsNamedAndCounted) {
  const TemporaryFolder folder;
  const fs::path d = folder / "d";
  put(d / "a.txt", "la ley");
  put(d / "image.png", "no text");
  put(d / ".git/c.txt", "no");
  for (const char* name : {".1.txt", ".DS_Store", "sub/.2.txt", "sub/.gitkeep"}) put(d / name, "no");
  fs::create_symlink("loop.txt", d / "loop.txt");
  const Outcome run = run_aid("predict " + quoted(kModel) + " " + quoted(d) + " --quiet");
  EXPECT_EQ(run.status, 1) << "of the link that cannot be read";
  EXPECT_EQ(lines(run.out).size(), 1u) << run.out;
  EXPECT_TRUE(contains(run.err, d.string() + "/image.png: not a .txt file, left out")) << run.err;
  EXPECT_TRUE(contains(run.err, "5 files (the first: " + d.string())) << run.err;
  EXPECT_TRUE(contains(run.err, "): hidden, left out; name it on the command line")) << run.err;
  EXPECT_TRUE(contains(run.err, "1 of 2 files could not be read")) << run.err;

  const Outcome named = run_aid("predict " + quoted(kModel) + " " + quoted(d / ".1.txt") + " " + quoted(d / ".git"));
  EXPECT_EQ(named.status, 0) << named.err;
  EXPECT_EQ(lines(named.out).size(), 2u) << named.out;
}

TEST(Predict, NothingToClassifyIsTwo) {
  const TemporaryFolder folder;
  put(folder / ".hidden.txt", "la ley");
  const Outcome run = run_aid("predict " + quoted(kModel) + " " + quoted(folder.path()));
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(contains(run.err, "no file to classify"));
  EXPECT_TRUE(contains(run.err, ".hidden.txt: hidden, left out"));
}

// What a document says never becomes a special token unless the user trusts it.
TEST(Predict, SpecialTokensInTextAreASwitch) {
  const TemporaryFolder folder;
  put(folder / "a.txt", "la [SEP] ley");
  const std::string arguments = "predict " + quoted(kModel) + " " + quoted(folder / "a.txt") + " --quiet";
  const Outcome off = run_aid(arguments), on = run_aid(arguments + " --special-tokens-in-text");
  EXPECT_NE(off.out, on.out);
}

// Far more work than fits into the time until the signal; what is there by then are whole lines.
TEST(Predict, InterruptedIs130WithWholeLines) {
  const TemporaryFolder folder;
  put(folder / "a.txt", "la ley y el acta de la norma");
  std::string list;
  for (int i = 0; i < 300000; ++i) list += (folder / "a.txt").string() + "\n";
  put(folder / "list", list);
  const std::string out = (folder / "out").string();
  // Interrupted as soon as there are results. set -m: without job control a shell's background commands ignore SIGINT.
  const std::string command = "set -m; " AID_PROGRAM " predict " + quoted(kModel) + " - --quiet <" +
                              quoted(folder / "list") + " >'" + out + "' 2>/dev/null & until [ -s '" + out +
                              "' ] || ! kill -0 $!; do sleep 0.02; done; kill -INT $!; wait $!";
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  const std::string text = io::read_text(out);
  ASSERT_FALSE(text.empty());
  EXPECT_EQ(text.back(), '\n');
  for (const std::string& line : lines(text)) ASSERT_TRUE(json::accept(line)) << line;
}

TEST(Predict, QuietSaysNothing) {
  const TemporaryFolder folder;
  put(folder / "a.txt", "la ley");
  const Outcome run = run_aid("predict " + quoted(kModel) + " " + quoted(folder / "a.txt") + " --quiet");
  EXPECT_EQ(run.err, "");
  EXPECT_EQ(run.status, 0);
}

TEST(Predict, AFullDiskIsTold) {
  const TemporaryFolder folder;
  put(folder / "a.txt", "la ley");
  const Outcome run = run_aid("predict " + quoted(kModel) + " " + quoted(folder / "a.txt"), "/dev/full");
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(contains(run.err, "the results could not be written to stdout"));
}

TEST(Predict, ProfileWritesATableAndATrace) {
  const TemporaryFolder folder;
  put(folder / "a.txt", "la ley");
  const Outcome run = run_aid("predict " + quoted(kModel) + " " + quoted(folder / "a.txt") + " --profile " +
                              quoted(folder / "trace.json"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.err, "measured peak: "));
  EXPECT_TRUE(contains(run.err, "attention"));
  EXPECT_EQ(lines(run.out).size(), 1u);
  const json trace = json::parse(io::read_text(folder / "trace.json"));
  EXPECT_GT(trace["traceEvents"].size(), 5u);
  for (const char* key : {"name", "ph", "ts", "dur", "pid", "tid"})
    EXPECT_TRUE(trace["traceEvents"][0].contains(key)) << key;
}

TEST(Eval, TableOnStdoutAndJson) {
  const TemporaryFolder folder;
  const fs::path data = folder / "data_v7/val";
  put_data(data);
  const Outcome run = run_aid("eval " + quoted(kModel) + " " + quoted(data) + " --json " + quoted(folder / "m.json"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.out, "contrato"));
  EXPECT_TRUE(contains(run.out, "accuracy"));
  const json report = json::parse(io::read_text(folder / "m.json"));
  EXPECT_EQ(report["kind"], "beto");
  EXPECT_EQ(report["data"]["version"], 7);
  EXPECT_EQ(report["data"]["texts"], 3);
  EXPECT_EQ(report["data"]["sha256"].get<std::string>().size(), 64u);
  EXPECT_GE(report["metrics"]["accuracy"].get<double>(), 0);
}

TEST(Eval, UnreadableFilesAreOne) {
  const TemporaryFolder folder;
  put_data(folder.path());
  put(folder / "ley/2.txt", std::string("\0\0\0\0", 4));
  put(folder / "ley/notes.pdf", "x");
  const Outcome run = run_aid("eval " + quoted(kModel) + " " + quoted(folder.path()));
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(contains(run.err, "ley/2.txt: "));
  EXPECT_TRUE(contains(run.err, "1 of 4 files could not be read"));
  EXPECT_TRUE(contains(run.err, "ley/notes.pdf: left out: not a .txt file"));
}

TEST(Eval, LabelsThatTheModelLacksAreListed) {
  const TemporaryFolder folder;
  put_data(folder.path());
  put(folder / "acta/1.txt", "el acta");
  put(folder / "bando/1.txt", "el bando");
  const Outcome run = run_aid("eval " + quoted(kModel) + " " + quoted(folder.path()));
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(contains(run.err, "the model does not know the labels acta, bando; it knows contrato, ley, resolución"));
}

TEST(Eval, AFolderMayLackLabels) {
  const TemporaryFolder folder;
  put_data(folder.path());
  fs::remove_all(folder / "contrato");
  EXPECT_EQ(run_aid("eval " + quoted(kModel) + " " + quoted(folder.path())).status, 0);
}

TEST(Tokenize, LinesAsTheTokenizerGivesThem) {
  const TemporaryFolder folder;
  put(folder / "in", "La norma.\n\nartículo\n");
  const Outcome run = run_aid("tokenize " + quoted(kModel) + " " + quoted(folder / "in"));
  EXPECT_EQ(run.status, 0) << run.err;
  const auto found = lines(run.out);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(json::parse(found[1]), json::parse(R"({"ids":[2,3],"offsets":[[0,0],[0,0]]})"));
  const auto expected = tokenizer::Tokenizer::load(kModel).encode("La norma.").front();
  const json first = json::parse(found[0]);
  EXPECT_EQ(first["ids"].get<std::vector<int32_t>>(), expected.ids);
  EXPECT_EQ(first["offsets"][3], (json{8, 9}));
  EXPECT_EQ(run_aid("tokenize " + quoted(kModel) + " <" + quoted(folder / "in")).out, run.out);
}

TEST(Tokenize, JsonlHoldsLineEnds) {
  const TemporaryFolder folder;
  put(folder / "in", "{\"text\": \"la\\nley\"}\n{\"text\": 5}\n");
  const Outcome run = run_aid("tokenize " + quoted(kModel) + " --jsonl " + quoted(folder / "in"));
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(contains(run.err, "in:2: \"text\" is a JSON number"));
  const auto found = lines(run.out);  // what came before the error is there
  ASSERT_EQ(found.size(), 1u);
  const json line = json::parse(found[0]);
  EXPECT_EQ(line["ids"].get<std::vector<int32_t>>(), tokenizer::Tokenizer::load(kModel).encode("la\nley").front().ids);
  EXPECT_EQ(line["offsets"][2], (json{3, 6}));
}

TEST(Tokenize, WhatCannotBeReadOrWrittenIsTold) {
  const TemporaryFolder folder;
  put(folder / "in", "la ley\n");
  for (const fs::path& file : {folder / "gone", folder.path()}) {
    const Outcome run = run_aid("tokenize " + quoted(kModel) + " " + quoted(file));
    EXPECT_EQ(run.status, 2) << file;
    EXPECT_TRUE(contains(run.err, file.string() + ": cannot be "));
  }
  const Outcome full = run_aid("tokenize " + quoted(kModel) + " " + quoted(folder / "in"), "/dev/full");
  EXPECT_EQ(full.status, 1);
  EXPECT_TRUE(contains(full.err, "the results could not be written to stdout"));
}

TEST(Info, SaysWhatThereIs) {
  const Outcome run = run_aid("info " + quoted(kModel));
  EXPECT_EQ(run.status, 0) << run.err;
  for (const char* part :
       {"instruction set", "oneDNN", "cores", "beto", "3: contrato, ley, resolución", "118 tokens"}) {
    EXPECT_TRUE(contains(run.out, part));
  }
}

TEST(Info, SaysInOneLineWhyThereIsNoGpu) {
  if (cuda::unavailable().empty()) GTEST_SKIP() << "this machine has a GPU";
  EXPECT_TRUE(contains(run_aid("info").out, "\ndevice             cpu (" + cuda::unavailable() + ")\n"));
}

}  // namespace
}  // namespace aid::tools::test
