#include "io/sync/manifest.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "io/file.h"
#include "tests/io/test_files.h"

namespace aid::io::sync {
namespace {

namespace fs = std::filesystem;
using io::test::contains;
using io::test::error_of;
using io::test::TemporaryFolder;

const SyncedFile kFile{.etag = "e", .size = 12, .mtime = 1'764'000'000'123'456'789, .modified = 1'763'999'999'000};
const PartialTransfer kTransfer{.id = "x", .etag = "f", .size = 900, .mtime = 0, .part_size = 100};

Manifest read(const fs::path& folder) { return read_manifest(folder).value(); }
fs::path file_of(const fs::path& folder) { return folder / kStateFolder / "manifest.jsonl"; }

TEST(Manifest, KeepsWhatItIsTold) {
  const TemporaryFolder folder;
  EXPECT_FALSE(read_manifest(folder.path()));
  Manifest expected;
  {
    ManifestWriter writer(folder.path());
    writer.set_file("a/ñ \"1\"\n.txt", kFile);
    writer.set_file("b", kFile);
    writer.set_file("c", kFile);
    writer.forget_file("b");
    writer.forget_file("never there");
    writer.add_part("big", kTransfer, 2, "");
    writer.add_part("big", kTransfer, 5, "q");
    writer.begin_partial("bigger", kTransfer);
    writer.set_folder("a", {.from = "s3://b/p/a/", .time = 7, .complete = true});
    writer.flush();
    expected = writer.content();
    EXPECT_EQ(read(folder.path()), expected);  // what a killed run leaves
    writer.finish();
  }
  EXPECT_EQ(read(folder.path()), expected);
  EXPECT_EQ(read_text(file_of(folder.path())), to_text(expected));
  EXPECT_EQ(expected.files.size(), 2u);
  EXPECT_EQ(expected.partials.at("big").parts, (std::map<int, std::string>{{2, ""}, {5, "q"}}));
  EXPECT_TRUE(expected.partials.at("bigger").parts.empty());
  ManifestWriter again(folder.path());
  EXPECT_EQ(again.content(), expected);
  EXPECT_EQ(*again.find("c"), kFile);
  EXPECT_EQ(again.find("b"), nullptr);
}

TEST(Manifest, APartialTransferEndsWithItsFileOrAnotherTransfer) {
  const TemporaryFolder folder;
  ManifestWriter writer(folder.path());
  writer.add_part("big", kTransfer, 1, "");
  PartialTransfer other = kTransfer;
  other.etag = "changed";
  writer.add_part("big", other, 2, "");
  EXPECT_EQ(writer.content().partials.at("big").parts.size(), 1u);
  writer.flush();
  EXPECT_EQ(read(folder.path()), writer.content());
  writer.begin_partial("big", other);
  EXPECT_TRUE(writer.content().partials.at("big").parts.empty());
  writer.add_part("big", other, 3, "");
  writer.flush();
  EXPECT_EQ(read(folder.path()), writer.content());
  writer.set_file("big", kFile);
  EXPECT_TRUE(writer.content().partials.empty());
  writer.finish();
  EXPECT_EQ(read(folder.path()), writer.content());
}

TEST(Manifest, AnyCutLosesAtMostTheLineThatWasCut) {
  const TemporaryFolder folder;
  std::string text;
  {
    ManifestWriter writer(folder.path());
    for (int i = 0; i < 5; ++i) writer.set_file("file " + std::to_string(i), kFile);
    writer.finish();
    text = read_text(file_of(folder.path()));
  }
  for (std::size_t size = 0; size <= text.size(); ++size) {
    io::test::put(file_of(folder.path()), text.substr(0, size));  // no flush: there are many
    const auto lines = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size), '\n');
    ManifestWriter writer(folder.path());
    ASSERT_EQ(writer.content().files.size(), static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, lines - 1))) << size;
    writer.set_file("next", kFile);
    writer.flush();
    ASSERT_EQ(read(folder.path()), writer.content()) << size;
  }
}

TEST(Manifest, TellsWhatIsWrong) {
  const TemporaryFolder folder;
  const fs::path file = file_of(folder.path());
  fs::create_directories(file.parent_path());
  for (const auto& [text, message] : {
           std::pair("{\"aid_sync\":1}\n{broken}\n", "manifest.jsonl:2:"),
           std::pair("{\"aid_sync\":1}\n{\"path\":\"a\"}\n", "manifest.jsonl:2: "),
           std::pair("{\"aid_sync\":2}\n", "newer aid"),
           std::pair("[]\n", "manifest.jsonl:1: "),
       }) {
    write_atomically(file, text);
    EXPECT_TRUE(contains(error_of([&] { read_manifest(folder.path()); }), message));
    EXPECT_TRUE(contains(error_of([&] { ManifestWriter writer(folder.path()); }), message));
  }
}

TEST(Manifest, OneRunAtATime) {
  const TemporaryFolder folder;
  const ManifestWriter first(folder.path());
  EXPECT_TRUE(contains(error_of([&] { ManifestWriter second(folder.path()); }), "another `aid sync`"));
}

TEST(Manifest, IsFoundFromBelow) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "a/b");
  EXPECT_FALSE(folder_with_manifest(folder / "a/b"));
  {
    ManifestWriter writer(folder.path());
    writer.set_file("a", kFile);
    writer.finish();
  }
  EXPECT_EQ(folder_with_manifest(folder / "a/b"), fs::canonical(folder.path()));
  EXPECT_EQ(folder_with_manifest(folder.path()), fs::canonical(folder.path()));
}

}  // namespace
}  // namespace aid::io::sync
