#include "io/dataset.h"

#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "tests/io/test_files.h"

namespace aid::io {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::error_of;
using test::put;
using test::TemporaryFolder;

// "NAME: reason" of what was skipped, relative to the folder.
std::vector<std::string> skipped_in(const LabelledFolder& data) {
  std::vector<std::string> list;
  for (const Skipped& skipped : data.skipped)
    list.push_back(skipped.path.lexically_relative(data.folder).string() + ": " + skipped.reason);
  return list;
}

TEST(Dataset, ListsExamplesInOrderAndTellsTheRest) {
  const TemporaryFolder folder;
  for (const char* name : {"ley/b.txt", "ley/a.txt", "ley/B.TXT", "ley/notes.pdf", "ley/.hidden.txt", "ley/old/c.txt",
                           "circular/10.txt", "circular/9.txt", "README.txt", ".git/config", "resolución/ñ.txt"}) {
    put(folder / name, "text");
  }
  fs::create_directory(folder / "vacía");
  fs::create_symlink("nowhere", folder / "ley/broken.txt");
  fs::create_symlink("a.txt", folder / "ley/link.txt");
  fs::create_directory_symlink("circular", folder / "linked");
  ASSERT_EQ(::mkfifo((folder / "ley/pipe.txt").c_str(), 0600), 0);

  const LabelledFolder data = open_labelled_folder(folder.path());
  EXPECT_EQ(data.labels, (std::vector<std::string>{"circular", "ley", "linked", "resolución", "vacía"}));
  std::vector<std::string> examples;
  for (const Example& example : data.examples) {
    examples.push_back(std::to_string(example.label) + " " + example.file.lexically_relative(folder.path()).string());
  }
  EXPECT_EQ(examples, (std::vector<std::string>{"0 circular/10.txt", "0 circular/9.txt", "1 ley/B.TXT", "1 ley/a.txt",
                                                "1 ley/b.txt", "1 ley/link.txt", "2 linked/10.txt", "2 linked/9.txt",
                                                "3 resolución/ñ.txt"}));
  EXPECT_EQ(skipped_in(data),
            (std::vector<std::string>{
                ".git: hidden", "README.txt: outside the labels' folders", "ley/.hidden.txt: hidden",
                "ley/broken.txt: a link that leads nowhere, or not accessible", "ley/notes.pdf: not a .txt file",
                "ley/old: a folder inside a label's folder; only LABEL/*.txt is read",
                "ley/pipe.txt: not a regular file", "vacía: a label without any .txt file"}));
}

TEST(Dataset, RefusesWhatIsNoDataSet) {
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(error_of([&] { open_labelled_folder(folder / "no"); }), "/no': No such file or directory"));
  EXPECT_TRUE(contains(error_of([&] { open_labelled_folder(folder.path()); }),
                       "holds no texts; expected one folder per label"));
  put(folder / "text_dataset/train/ley/a.txt", "text");
  EXPECT_TRUE(contains(error_of([&] { open_labelled_folder(folder / "text_dataset"); }),
                       "(did you mean '" + (folder / "text_dataset/train").string() + "'?)"));
  EXPECT_TRUE(contains(error_of([&] { open_labelled_folder(folder / "text_dataset/train"); }),
                       "holds a single label, ley; a classifier needs"));
  put(folder / "text_dataset/train/a\xf1o/a.txt", "text");
  EXPECT_TRUE(
      contains(error_of([&] { open_labelled_folder(folder / "text_dataset/train"); }), "is not UTF-8; rename it"));
}

TEST(Dataset, ListsLabelsThatDiffer) {
  const std::vector<std::string> train = {"a", "b", "c"};
  const std::vector<std::string> val = {"a", "d"};
  EXPECT_EQ(error_of([&] { check_same_labels(train, "train", val, "val"); }),
            "the labels differ: only in train: b, c; only in val: d; expected the same folders in both");
  EXPECT_TRUE(contains(error_of([&] {
                         check_same_labels(train, "train", std::vector<std::string>{"a", "b"}, "val");
                       }),
                       "only in val: none"));
  EXPECT_EQ(error_of([&] { check_same_labels(train, "train", train, "val"); }), "");
}

TEST(Dataset, CollectsFilesThatCannotBeUsed) {
  const TemporaryFolder folder;
  put(folder / "good.txt", "a\xf1o");
  put(folder / "blank.txt", " \n\xc2\xa0");
  put(folder / "binary.txt", std::string("PK\3\4\0\0", 6));
  std::vector<Skipped> skipped;
  const std::optional<Text> good = load_text(folder / "good.txt", skipped);
  ASSERT_TRUE(good);
  EXPECT_EQ(good->utf8, "año");
  EXPECT_EQ(good->encoding, Encoding::windows_1252);
  for (const char* name : {"blank.txt", "binary.txt", "gone.txt"}) EXPECT_FALSE(load_text(folder / name, skipped));
  ASSERT_EQ(skipped.size(), 3u);
  EXPECT_EQ(skipped[0].path, folder / "blank.txt");
  EXPECT_EQ(skipped[0].reason, "empty: nothing but white space");
  EXPECT_TRUE(contains(skipped[1].reason, "not a text: the byte 4 is NUL"));
  EXPECT_TRUE(contains(skipped[2].reason, "No such file"));
}

TEST(Dataset, FingerprintIsWhatSha256sumPrints) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2, B.1
  const TemporaryFolder folder;
  for (const char* name : {"a/1.txt", "a/2.txt", "a-b/1.txt", "b/1.txt", "b/ñ.txt"}) put(folder / name, name);
  const std::string before = fingerprint(open_labelled_folder(folder.path()));
  const std::string command =
      "cd '" + folder.path().string() + "' && LC_ALL=C sh -c 'sha256sum */*.txt' | sha256sum > sum";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(read_text(folder / "sum"), before + "  -\n");
  put(folder / "b/1.txt", "changed");
  const std::string after = fingerprint(open_labelled_folder(folder.path()));
  EXPECT_NE(after, before);
  fs::rename(folder / "b/1.txt", folder / "b/3.txt");
  EXPECT_NE(fingerprint(open_labelled_folder(folder.path())), after);
}

TEST(Dataset, KnowsItsVersion) {
  EXPECT_EQ(data_version_of("/x/clasificacion/text_model/data_v12/text_dataset/train"), 12);
  EXPECT_EQ(data_version_of("/x/data_v1/y/data_v2/"), 2);
  EXPECT_EQ(data_version_of("/x/data_v/data_v1b/mydata_v3"), std::nullopt);
  EXPECT_EQ(data_version_of("/x/data_v99999999999"), std::nullopt);
  const TemporaryFolder folder;
  fs::create_directory(folder / "data_v7");
  const fs::path previous = fs::current_path();
  fs::current_path(folder / "data_v7");
  EXPECT_EQ(data_version_of("train"), 7);
  fs::current_path(previous);
}

}  // namespace
}  // namespace aid::io
