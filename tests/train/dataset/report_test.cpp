#include "train/dataset/report.h"

#include <gtest/gtest.h>

namespace aid::train::dataset {
namespace {

TEST(DataReport, SaysHowManyFilesAreNotShown) {
  const Finding finding{
      .kind = "leak", .where = "v", .text = "two", .items = {{.file = "a", .other = "b"}, {.file = "c", .other = "d"}}};
  const std::string heading = "error: v: two\n";
  EXPECT_EQ(to_text(std::vector{finding}, 0), heading + "  and 2 more\n");
  EXPECT_EQ(to_text(std::vector{finding}, 1), heading + "  a: b\n  and 1 more\n");
  EXPECT_EQ(to_text(std::vector{finding}, 2), heading + "  a: b\n  c: d\n");
}

TEST(DataReport, EqualVersionsHaveTheSameFiles) {
  const Version version{.folder = "/v", .name = "v", .sha256 = "1"};
  EXPECT_EQ(to_text(Compared{version, version, {}}, 9),
            "from v: texts, 0 files, 0.0 MB\nto   v: texts, 0 files, 0.0 MB\nthe same files\n");
}

// A flat folder's files have no typology, though they all come under one name, the empty one.
TEST(DataReport, FlatFoldersHaveNoTypologies) {
  const std::vector<File> files{{.name = "1.txt", .label = ""}};
  const Version version{.folder = "/v",
                        .name = "v",
                        .splits = {{.name = "train", .labels = {""}, .files = files},
                                   {.name = "ground_truth/todas", .flat = true, .labels = {""}, .files = files}}};
  EXPECT_TRUE(to_text(std::vector{version}).find("             1      -\n") != std::string::npos)
      << to_text(std::vector{version});
}

}  // namespace
}  // namespace aid::train::dataset
