#include "train/model/run_record.h"

#include <gtest/gtest.h>

#include "tests/io/test_files.h"
#include "train/console/progress.h"

namespace aid::train {
namespace {

using io::test::contains;
using io::test::error_of;
using io::test::put;
using io::test::TemporaryFolder;

RunRecord some_record() {
  RunRecord record{.kind = "beto",
                   .labels = {"acta", "resolución"},
                   .texts = {.policy = LongPolicy::windows, .max_length = 128, .stride = 16, .max_windows = 4},
                   .nfc = true};
  record.data = {.version = 3, .train_texts = 10, .val_texts = 4, .train_sha256 = "ab", .val_sha256 = "cd"};
  record.hyperparameters = {{"lr", "3e-05"}, {"schedule", "\"linear\""}};
  record.seed = 18446744073709551615u;
  record.precision = "bf16";
  record.metrics = {{"accuracy", 0.1}};
  record.step = 7;
  record.versions = {{"aid", "0.1.0"}};
  return record;
}

TEST(RunRecord, ReadsWhatItWrites) {
  const TemporaryFolder folder;
  EXPECT_FALSE(read_run_record(folder.path()));
  const std::string text = to_json(some_record());
  put(folder / kRunRecordFile, text);
  const auto record = read_run_record(folder.path());
  ASSERT_TRUE(record);
  EXPECT_EQ(to_json(*record), text);
  EXPECT_EQ(record->texts.policy, LongPolicy::windows);
  EXPECT_EQ(record->data.version, 3);
  EXPECT_EQ(record->seed, 18446744073709551615u);
}

TEST(RunRecord, NamesWhatIsWrong) {
  const TemporaryFolder folder;
  const auto error_with = [&](const std::string& part, const std::string& in_place) {
    std::string text = to_json(some_record());
    text.replace(text.find(part), part.size(), in_place);
    put(folder / kRunRecordFile, text);
    return error_of([&] { read_run_record(folder.path()); });
  };
  EXPECT_TRUE(contains(error_with("\"stride\"", "\"strid\""), "aid.json: \"stride\" is missing"));
  EXPECT_TRUE(contains(error_with("\"windows\"", "\"middle\""), "\"long\" is \"middle\""));
  EXPECT_TRUE(contains(error_with("\"beto\"", "3"), "\"kind\" is 3"));
}

TEST(Progress, NumbersForPeople) {
  EXPECT_EQ(clock_text(59.6), "1:00");
  EXPECT_EQ(clock_text(3723), "1:02:03");
  EXPECT_EQ(short_number(812) + "B", "812 B");
  EXPECT_EQ(short_number(5120) + "B", "5.1 kB");
  EXPECT_EQ(short_number(2.34e6) + "B", "2.3 MB");
}

}  // namespace
}  // namespace aid::train
