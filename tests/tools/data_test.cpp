// `aid data` as a user runs it.
#include <nlohmann/json.hpp>

#include "tests/tools/program.h"

namespace aid::tools {
namespace {

using io::test::contains;
using io::test::put;
using io::test::TemporaryFolder;
using nlohmann::json;
using test::Outcome;
using test::quoted;
using test::run_aid;

struct Data {
  TemporaryFolder folder;
  Data() {
    for (const char* version : {"data_v1", "data_v2"}) {
      for (const char* split : {"train", "val"}) {
        for (const char* label : {"acta", "ley"}) {
          const std::string name = std::string(split) + "/" + label + "/1.txt";
          put(folder / ("text_model/" + std::string(version) + "/text_dataset/" + name), "texto de " + name);
        }
      }
    }
    put(folder / "text_model/data_v2/text_dataset/train/ley/2.txt", "otro texto");
  }
  std::string version(const char* name) const { return quoted(folder / ("text_model/" + std::string(name))); }
};

TEST(DataCommand, ListsWhatThereIs) {
  const Data data;
  const Outcome run = run_aid("data list " + quoted(data.folder.path()) + " --json " + quoted(data.folder / "l.json"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.out, "text_model/data_v1: texts, 4 files"));
  EXPECT_TRUE(contains(run.out, "  ley           2    1\n"));
  const json list = json::parse(io::read_text(data.folder / "l.json"));
  ASSERT_EQ(list["versions"].size(), 2u);
  const std::string sha256 = list["versions"][1]["splits"][0]["sha256"];
  EXPECT_TRUE(contains(run.out, sha256));

  // The fingerprint is what a model says that it was trained on.
  const std::string v2 = (data.folder / "text_model/data_v2/text_dataset").string();
  const Outcome train = run_aid("train beto --train '" + v2 + "/train' --val '" + v2 + "/val' --model " +
                                AID_SOURCE_DIR "/tests/golden/hf/bert --out " + quoted(data.folder / "model") +
                                " --max-length 12 --epochs 1 --threads 1");
  ASSERT_EQ(train.status, 0) << train.err;
  const Outcome info = run_aid("info " + quoted(data.folder / "model"));
  EXPECT_TRUE(contains(info.out, "3 texts, SHA-256 " + sha256));
  EXPECT_TRUE(contains(info.out, "data version       2\n"));
}

TEST(DataCommand, TellsWhatChanged) {
  const Data data;
  const Outcome run = run_aid("data diff " + data.version("data_v1") + " " + data.version("data_v2"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.out, "added: 1\n  text_dataset/train/ley/2.txt\n")) << run.out;
  const Outcome same = run_aid("data diff " + data.version("data_v1") + " " + data.version("data_v1"));
  EXPECT_TRUE(contains(same.out, "the same files\n"));
  const Outcome three = run_aid("data diff " + data.version("data_v1") + " " + quoted(data.folder.path()));
  EXPECT_EQ(three.status, 2);
  EXPECT_TRUE(contains(three.err, "hold 3 data versions; expected one in each"));
}

TEST(DataCommand, ErrorsAreTheExitStatus) {
  const Data data;
  const Outcome good = run_aid("data verify " + data.version("data_v1"));
  EXPECT_EQ(good.status, 0) << good.out;
  EXPECT_EQ(good.out, "1 version, 0 errors, 0 warnings\n");
  put(data.folder / "text_model/data_v1/text_dataset/train/ley/leak.txt", "texto de val/ley/1.txt");
  const Outcome leak = run_aid("data verify " + data.version("data_v1") + " --json " + quoted(data.folder / "v.json"));
  EXPECT_EQ(leak.status, 1);
  EXPECT_TRUE(leak.out.ends_with("1 version, 1 error, 0 warnings\n")) << leak.out;
  const json findings = json::parse(io::read_text(data.folder / "v.json"));
  EXPECT_EQ(findings["errors"], 1);
  EXPECT_EQ(findings["findings"][0]["kind"], "leak");
  EXPECT_EQ(findings["findings"][0]["items"][0]["file"], "text_dataset/val/ley/1.txt");
  const Outcome none = run_aid("data verify /nowhere");
  EXPECT_EQ(none.status, 2);
  EXPECT_TRUE(contains(none.err, "'/nowhere' is no folder"));
  EXPECT_EQ(run_aid("data").status, 2);
  EXPECT_EQ(run_aid("data verify --near 0.1 .").status, 2);
}

}  // namespace
}  // namespace aid::tools
