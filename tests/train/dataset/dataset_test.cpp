// Versions of data sets: what is read of them, what changed, what is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/aws/checksum.h"
#include "io/file.h"
#include "io/sync/manifest.h"
#include "tests/io/test_files.h"
#include "train/dataset/report.h"

namespace aid::train::dataset {
namespace {

namespace fs = std::filesystem;
using io::test::contains;
using io::test::error_of;
using io::test::put;
using io::test::TemporaryFolder;
using nlohmann::json;

const ThreadTeam kTeam(2);

std::string prose(int topic, int words = 60) {
  std::string text;
  for (int i = 0; i < words; ++i) text += "palabra" + std::to_string(topic * 1000 + i * i % 97) + " ";
  return text;
}

// Two typologies, different texts everywhere.
void put_version(const fs::path& folder) {
  int topic = 0;
  for (const char* split : {"text_dataset/train", "text_dataset/val", "ground_truth/muestras"})
    for (const char* label : {"acta", "ley"})
      for (int i = 0; i < 3; ++i) put(folder / split / label / (std::to_string(i) + ".txt"), prose(++topic));
}

// muestras' names must differ for todas to hold them all.
void put_flat_truth(const fs::path& folder) {
  for (const char* label : {"acta", "ley"}) {
    for (int i = 0; i < 3; ++i) {
      const fs::path old = folder / "ground_truth/muestras" / label / (std::to_string(i) + ".txt");
      const std::string name = std::string(label) + std::to_string(i) + ".txt";
      fs::rename(old, old.parent_path() / name);
      put(folder / "ground_truth/todas" / name, io::read_text(old.parent_path() / name));
    }
  }
}

struct Made {
  TemporaryFolder folder;
  fs::path v1 = folder / "clasificacion/text_model/data_v1", v2 = folder / "clasificacion/text_model/data_v2";
  Made() {
    put_version(v1);
    put_version(v2);
  }
  std::vector<Finding> verify_of(const std::vector<fs::path>& folders) const {
    std::vector<Version> versions;
    for (const fs::path& path : folders) versions.push_back(read_version(path, kTeam));
    return verify(versions, {}, kTeam);
  }
};

// "kind severity: items", "file|other" each.
std::vector<std::string> summary(const std::vector<Finding>& findings) {
  std::vector<std::string> lines;
  for (const Finding& finding : findings) {
    std::string line = (finding.severity == Severity::error ? "error " : "warning ") + finding.kind + ":";
    for (const Finding::Item& item : finding.items) line += " " + item.file + "|" + item.other;
    lines.push_back(line);
  }
  return lines;
}
using Lines = std::vector<std::string>;

TEST(DataVersions, AreFoundWhereverTheyAre) {
  const Made made;
  put(made.folder / "clasificacion/image_model/data_v10/train/a/1.jpg", "x");
  put(made.folder / "clasificacion/image_model/data_v9/train/a/1.jpg", "x");
  const fs::path root = made.folder / "clasificacion";
  EXPECT_EQ(find_versions(root),
            (std::vector<fs::path>{root / "image_model/data_v9", root / "image_model/data_v10", made.v1, made.v2}));
  EXPECT_EQ(find_versions(made.folder.path()).size(), 4u);
  EXPECT_EQ(find_versions(made.v1), std::vector<fs::path>{made.v1});
  EXPECT_EQ(find_versions(made.v1.string() + "/"), std::vector<fs::path>{made.v1});
  EXPECT_EQ(find_versions(made.v1 / "text_dataset"), std::vector<fs::path>{made.v1 / "text_dataset"});
  fs::create_directory(made.folder / "none");
  EXPECT_TRUE(contains(error_of([&] { find_versions(made.folder / "none"); }), "no data version in"));
  EXPECT_TRUE(contains(error_of([&] { find_versions(made.folder / "gone"); }), "is no folder"));
}

TEST(DataVersions, CountsSizesAndFingerprints) {
  const Made made;
  put_flat_truth(made.v1);
  put(made.v1 / "text_dataset/train/ley/notes.pdf", "x");
  put(made.v1 / "ORIGIN.md", "x");
  const Version version = read_version(made.v1, kTeam);
  EXPECT_EQ(version.name, "text_model/data_v1");
  EXPECT_EQ(version.number, 1);
  ASSERT_EQ(version.splits.size(), 4u);
  const Split& train = version.splits[0];
  EXPECT_EQ(train.name, "text_dataset/train");
  EXPECT_EQ(train.counts(), (std::map<std::string, int64_t>{{"acta", 3}, {"ley", 3}}));
  EXPECT_EQ(train.skipped.size(), 1u);
  uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(made.v1 / "text_dataset/train"))
    if (entry.path().extension() == ".txt") bytes += entry.file_size();
  EXPECT_EQ(train.bytes(), bytes);
  // What aid.json holds of a model trained on it.
  EXPECT_EQ(train.sha256, io::fingerprint(io::open_labelled_folder(made.v1 / "text_dataset/train")));
  EXPECT_EQ(version.splits[3].name, "ground_truth/todas");
  EXPECT_EQ(version.splits[3].files.size(), 6u);

  // The version's own: of all files by name, whatever their dates.
  const std::string command = "cd '" + made.v1.string() +
                              "' && find text_dataset ground_truth -name '*.txt' | LC_ALL=C sort | xargs sha256sum | "
                              "sha256sum >'" +
                              (made.folder / "sum").string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(io::read_text(made.folder / "sum"), version.sha256 + "  -\n");
  fs::last_write_time(train.files[0].path, fs::file_time_type::clock::now() - std::chrono::hours(1000));
  EXPECT_EQ(read_version(made.v1, kTeam).sha256, version.sha256);

  const json listed = json::parse(to_json({version}));
  EXPECT_EQ(listed["versions"][0]["splits"][0]["labels"], (json{{"acta", 3}, {"ley", 3}}));
  EXPECT_EQ(listed["versions"][0]["splits"][0]["sha256"], train.sha256);
  EXPECT_TRUE(contains(to_text({version}), version.sha256));
  EXPECT_TRUE(contains(to_text({version}), "typology  train  val  muestras  todas\n"));
}

TEST(DataDifference, EveryKindOfChange) {
  const Made made;
  const auto file = [&](const char* name) { return made.v2 / name; };
  put(file("text_dataset/train/ley/9.txt"), prose(900));                                        // added
  put(file("text_dataset/train/contrato/1.txt"), prose(901));                                   // added
  fs::remove(file("text_dataset/train/acta/0.txt"));                                            // removed
  put(file("text_dataset/train/acta/1.txt"), prose(902));                                       // changed
  fs::rename(file("text_dataset/train/acta/2.txt"), file("text_dataset/train/ley/x.txt"));      // moved typology
  fs::rename(file("text_dataset/val/ley/0.txt"), file("text_dataset/train/ley/from_val.txt"));  // moved split
  fs::rename(file("text_dataset/val/acta/0.txt"), file("text_dataset/val/acta/renamed.txt"));   // renamed
  const Version before = read_version(made.v1, kTeam), after = read_version(made.v2, kTeam);
  const auto changes = difference(before, after);
  Lines found;
  for (const Change& change : changes)
    found.push_back(std::string(name_of(change.kind)) + " " + change.split + "/" + change.file + " < " +
                    change.old_split + "/" + change.old_file);
  EXPECT_EQ(found, (Lines{"added text_dataset/train/contrato/1.txt < /", "added text_dataset/train/ley/9.txt < /",
                          "removed text_dataset/train/acta/0.txt < text_dataset/train/acta/0.txt",
                          "changed text_dataset/train/acta/1.txt < text_dataset/train/acta/1.txt",
                          "moved typology text_dataset/train/ley/x.txt < text_dataset/train/acta/2.txt",
                          "moved split text_dataset/train/ley/from_val.txt < text_dataset/val/ley/0.txt",
                          "renamed text_dataset/val/acta/renamed.txt < text_dataset/val/acta/0.txt"}));
  const std::string text = to_text(Compared{before, after, changes}, 1);
  EXPECT_TRUE(contains(text, "added: 2\n  text_dataset/train/contrato/1.txt\n  and 1 more\n"));
  EXPECT_TRUE(contains(text, "text_dataset/train/acta/2.txt -> text_dataset/train/ley/x.txt"));
  EXPECT_TRUE(contains(text, "text_dataset/train/acta"));
  const json all = json::parse(to_json(Compared{before, after, changes}));
  EXPECT_EQ(all["counts"]["added"], 2);
  EXPECT_EQ(all["changes"].size(), 7u);
  EXPECT_TRUE(difference(before, before).empty());
}

TEST(DataDifference, TwinsAreMatchedOnce) {
  const Made made;
  for (const char* name : {"a.txt", "b.txt"}) put(made.v1 / "text_dataset/train/ley" / name, "the same");
  for (const char* name : {"c.txt", "d.txt", "e.txt"}) put(made.v2 / "text_dataset/train/ley" / name, "the same");
  Lines found;
  for (const Change& change : difference(read_version(made.v1, kTeam), read_version(made.v2, kTeam)))
    found.push_back(std::string(name_of(change.kind)) + " " + change.old_file + " " + change.file);
  EXPECT_EQ(found, (Lines{"added  ley/e.txt", "renamed ley/a.txt ley/c.txt", "renamed ley/b.txt ley/d.txt"}));
}

TEST(DataVerify, NothingIsWrongWithAGoodSet) {
  const Made made;
  put_flat_truth(made.v1);
  EXPECT_EQ(summary(made.verify_of({made.v1})), Lines{});
}

TEST(DataVerify, DuplicatesBetweenSplitsExactAndNear) {
  const Made made;
  const auto put_in = [&](const char* name, const std::string& text) { put(made.v1 / name, text); };
  const std::string text = prose(500), long_text = prose(600, 200);
  put_in("text_dataset/train/ley/leak.txt", text);
  put_in("ground_truth/muestras/ley/leak.txt", text);
  put_in("text_dataset/train/acta/near.txt", long_text);
  put_in("text_dataset/val/acta/near.txt", long_text + "y una nota al final");
  const auto found = made.verify_of({made.v1});
  EXPECT_EQ(summary(found), (Lines{"error leak: ground_truth/muestras/ley/leak.txt|text_dataset/train/ley/leak.txt",
                                   "warning leak: text_dataset/val/acta/near.txt|text_dataset/train/acta/near.txt"}));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].text, "1 file of ground_truth/muestras is the same as one of text_dataset/train");
  EXPECT_FALSE(found[0].items[0].similarity);
  // 204 words have 200 shingles, of which the first 196 are those of the text that is 200 words long.
  EXPECT_LT(*found[1].items[0].similarity, 1);
  EXPECT_GT(*found[1].items[0].similarity, 0.9);
  EXPECT_EQ(json::parse(to_json(found))["errors"], 1);
  EXPECT_TRUE(contains(to_text(found, 10), "error: text_model/data_v1: 1 file of ground_truth/muestras is the same"));
}

TEST(DataVerify, ConflictsAndRepetitions) {
  const Made made;
  put(made.v1 / "text_dataset/train/ley/twin.txt", prose(700));
  put(made.v1 / "text_dataset/train/acta/twin.txt", prose(700));
  EXPECT_EQ(summary(made.verify_of({made.v1})),
            (Lines{"error conflict: text_dataset/train/ley/twin.txt|text_dataset/train/acta/twin.txt",
                   "warning repeated: text_dataset/train/ley/twin.txt|text_dataset/train/acta/twin.txt"}));
}

TEST(DataVerify, BetweenVersions) {
  TemporaryFolder folder;
  const fs::path v1 = folder / "data_v1", v2 = folder / "data_v2";
  for (const fs::path& v : {v1, v2}) {
    for (const char* label : {"acta", "ley"}) {
      put(v / "train" / label / "a.txt", prose(label[0]));
      put(v / "test" / label / "b.txt", prose(label[0] + 300));
    }
  }
  put(v1 / "train/ley/c.txt", prose(1));
  put(v2 / "test/ley/moved.txt", prose(1));  // the older model has learnt it
  put(v1 / "train/acta/d.txt", prose(2));
  put(v2 / "train/ley/d.txt", prose(2));  // relabelled
  const auto found = Made().verify_of({v1, v2});
  EXPECT_EQ(summary(found), (Lines{"warning leak_between_versions: test/ley/moved.txt|train/ley/c.txt",
                                   "warning relabelled: train/ley/d.txt|train/acta/d.txt"}));
  EXPECT_TRUE(contains(found[0].text, "/test is the same as one of "));
}

TEST(DataVerify, UnusableFilesAreNamedAndNoDuplicates) {
  const Made made;
  put(made.v1 / "text_dataset/train/ley/empty.txt", "");
  put(made.v1 / "text_dataset/val/ley/empty.txt", "");
  put(made.v1 / "text_dataset/val/acta/blank.txt", " \n");
  put(made.v1 / "ground_truth/muestras/ley/cut.jpg", "\xFF\xD8\xFF\xE0 and no more");
  put(made.v1 / "ground_truth/muestras/ley/whole.jpg", "\xFF\xD8\xFF\xE0 to the end\xFF\xD9");
  put(made.v1 / "ground_truth/muestras/ley/no.png", "GIF89a");
  const auto found = made.verify_of({made.v1});
  EXPECT_EQ(summary(found),
            (Lines{"error unusable: text_dataset/train/ley/empty.txt|empty text_dataset/val/acta/blank.txt|empty: "
                   "nothing but white space text_dataset/val/ley/empty.txt|empty "
                   "ground_truth/muestras/ley/cut.jpg|a JPEG without its end: cut short "
                   "ground_truth/muestras/ley/no.png|neither JPEG nor PNG"}));
}

TEST(DataVerify, WhatNoModelReadsIsNamed) {
  const Made made;
  put(made.v1 / "text_dataset/train/.DS_Store", "x");
  put(made.v1 / "text_dataset/val/ley/notes.pdf", "x");
  put(made.v1 / "ground_truth/muestras/ley/.1.txt", "x");
  put(made.v1 / "ORIGIN.md", "x");  // in no split
  const auto found = made.verify_of({made.v1});
  EXPECT_EQ(summary(found), (Lines{"warning left_out: text_dataset/train/.DS_Store|hidden "
                                   "text_dataset/val/ley/notes.pdf|not a .txt file "
                                   "ground_truth/muestras/ley/.1.txt|hidden"}));
  EXPECT_EQ(found.at(0).text, "3 names that no model reads");
}

TEST(DataVerify, TypologiesAndTheirShares) {
  const Made made;
  put(made.v1 / "text_dataset/val/contrato/1.txt", prose(801));
  fs::remove_all(made.v1 / "ground_truth/muestras/acta");
  for (int i = 0; i < 80; ++i) put(made.v1 / ("text_dataset/train/ley/m" + std::to_string(i) + ".txt"), prose(810 + i));
  const auto found = made.verify_of({made.v1});
  EXPECT_EQ(summary(found), (Lines{"error label_missing: contrato|1 file of text_dataset/val",
                                   "warning label_missing: acta|3 files of text_dataset/train",
                                   "warning imbalance:", "warning shift:"}));
  EXPECT_EQ(found[2].text, "text_dataset/train: ley has 83 files, acta has 3; class weights may help");
  // train 3/86 and 83/86; val 3/7, 3/7 and 1/7: half of 0.3937 + 0.5365 + 0.1429.
  EXPECT_EQ(found[3].text, "text_dataset/val: its shares of typologies differ from text_dataset/train's by 0.54");
}

TEST(DataVerify, TheFormsOfTheTruthAreTheSameFiles) {
  const Made made;
  put_flat_truth(made.v1);
  fs::remove(made.v1 / "ground_truth/todas/ley0.txt");
  put(made.v1 / "ground_truth/todas/ley1.txt", prose(990));
  put(made.v1 / "ground_truth/todas/mine.txt", prose(991));
  EXPECT_EQ(summary(made.verify_of({made.v1})),
            Lines{"error truth_differs: ground_truth/muestras/ley/ley0.txt|not in ground_truth/todas "
                  "ground_truth/muestras/ley/ley1.txt|other bytes in ground_truth/todas "
                  "ground_truth/todas/mine.txt|not in ground_truth/muestras"});
}

std::string md5_of(const fs::path& file) {
  io::aws::Checksum md5(io::aws::ChecksumAlgorithm::md5);
  md5.update(io::read_text(file));
  return md5.hex();
}

TEST(DataVerify, AgainstWhatSyncBrought) {
  const Made made;
  io::sync::Manifest manifest;
  for (const auto& entry : fs::recursive_directory_iterator(made.v1))
    if (entry.is_regular_file())
      manifest.files["text_model/data_v1/" + entry.path().lexically_relative(made.v1).generic_string()] = {
          .etag = md5_of(entry.path()), .size = entry.file_size()};
  manifest.files.begin()->second.etag = std::string(32, 'a') + "-2";  // sent in parts: no MD5
  manifest.folders["text_model/data_v1"] = {.from = "s3://b/text_model/data_v1/", .complete = true};
  const fs::path root = made.folder / "clasificacion";
  const auto verified = [&] {
    put(root / io::sync::kStateFolder / "manifest.jsonl", io::sync::to_text(manifest));
    return summary(made.verify_of({made.v1}));
  };
  EXPECT_EQ(verified(), Lines{});

  const std::string name = "text_dataset/train/ley/0.txt";
  std::string bytes = io::read_text(made.v1 / name);
  bytes[0] ^= 1;  // of the same size
  put(made.v1 / name, bytes);
  fs::remove(made.v1 / "text_dataset/train/ley/1.txt");
  put(made.v1 / "text_dataset/train/ley/2.txt", "short");
  put(made.v1 / "text_dataset/train/ley/own.txt", prose(1234));
  manifest.folders["text_model/data_v1"].complete = false;
  EXPECT_EQ(verified(), (Lines{"error synchronised: text_dataset/train/ley/1.txt|gone "
                               "text_dataset/train/ley/2.txt|5 bytes; it came with " +
                                   std::to_string(prose(9).size()) + " " + name + "|other bytes than it came with",
                               "warning synchronised: text_dataset/train/ley/own.txt|did not come from S3",
                               "warning synchronised:"}));

  // An encrypted bucket's etags look like MD5s, and none is: they say nothing.
  for (auto& [path, file] : manifest.files) file.etag = std::string(32, 'a');
  EXPECT_EQ(verified()[0],
            "error synchronised: text_dataset/train/ley/1.txt|gone text_dataset/train/ley/2.txt|5 "
            "bytes; it came with " +
                std::to_string(prose(9).size()));
}

TEST(DataVersions, WhatBelongsToOne) {
  const Made made;
  put(made.folder / "clasificacion/.trash/data_v7/train/a/1.jpg", "x");
  EXPECT_EQ(find_versions(made.folder.path()).size(), 2u);
  EXPECT_EQ(read_version(made.v1, kTeam).number, 1);
  fs::create_directories(made.v1 / "part/train/a");
  EXPECT_FALSE(read_version(made.v1 / "part", kTeam).number);
  fs::create_directory(made.v1 / "text_dataset/train/vacia");
  EXPECT_EQ(read_version(made.v1, kTeam).splits[0].counts().at("vacia"), 0);
  // Which kind its train has decides what is read of both.
  put(made.v1 / "text_dataset/train/ley/scan.jpg", "x");
  EXPECT_EQ(read_version(made.v1, kTeam).kind, Kind::texts);
  const fs::path images = made.folder / "clasificacion/image_model/data_v1";
  for (const char* name : {"a/1.jpg", "a/1.txt"}) put(images / "train" / name, "x");
  EXPECT_EQ(read_version(images, kTeam).kind, Kind::images);
  EXPECT_EQ(read_version(images, kTeam).splits[0].files[0].name, "a/1.jpg");
}

TEST(DataVerify, ImagesThatAreWholeAndThatAreNot) {
  const Made made;
  const fs::path truth = made.v1 / "ground_truth/muestras/ley";
  const std::string text = prose(650), other = text + "final";
  put(truth / "1.jpg", "\xFF\xD8\xFF" + text + "\xFF\xD9\n");  // some programs pad the end
  put(truth / "2.jpg", "\xFF\xD8\xFF" + other + "\xFF\xD9");   // images are no near duplicates
  put(truth / "3.png", "\x89PNG\r\n\x1A\n...IEND\xAE\x42\x60\x82");
  EXPECT_EQ(summary(made.verify_of({made.v1})), Lines{});
  put(made.v1 / "ground_truth/muestras/acta/4.png", "\x89PNG\r\n\x1A\n...");
  put(made.v1 / "ground_truth/muestras/acta/5.pdf", "");
  put(made.v1 / "ground_truth/muestras/acta/6.jpg", "\xFF\xD8\xFF preview \xFF\xD9" + std::string(64, ' '));
  EXPECT_EQ(summary(made.verify_of({made.v1})),
            Lines{"error unusable: ground_truth/muestras/acta/4.png|a PNG without its end: cut short "
                  "ground_truth/muestras/acta/5.pdf|empty "
                  "ground_truth/muestras/acta/6.jpg|a JPEG without its end: cut short"});
}

TEST(DataVerify, TheMostSimilarIsNamed) {
  const Made made;
  const std::string text = prose(600, 200);
  put(made.v1 / "text_dataset/train/ley/a_far.txt", text + "uno dos tres cuatro cinco seis siete ocho nueve diez");
  put(made.v1 / "text_dataset/train/ley/b_near.txt", text + "uno");
  put(made.v1 / "text_dataset/val/ley/x.txt", text);
  const auto leaks = [&] {
    Lines lines;
    for (const std::string& line : summary(made.verify_of({made.v1})))
      if (line.find("leak") != std::string::npos) lines.push_back(line);
    return lines;
  };
  EXPECT_EQ(leaks(), Lines{"warning leak: text_dataset/val/ley/x.txt|text_dataset/train/ley/b_near.txt"});
  put(made.v1 / "text_dataset/train/ley/d_same.txt", text);  // the same bytes go before what is like them
  put(made.v1 / "text_dataset/train/ley/c_same.txt", text);  // of equals the first by name
  EXPECT_EQ(leaks(), Lines{"error leak: text_dataset/val/ley/x.txt|text_dataset/train/ley/c_same.txt"});
}

// Neither todas nor the unified forms have typologies that could be compared with train's.
TEST(DataVerify, FormsOfTheTruthWithoutTypologies) {
  for (const char* form : {"todas/x.txt", "todas_unificado/x.txt", "muestras_unificado/normas/x.txt"}) {
    SCOPED_TRACE(form);
    const Made made;
    fs::remove_all(made.v1 / "ground_truth");
    put(made.v1 / "text_dataset/train/ley/x.txt", prose(640));
    put(made.v1 / "ground_truth" / form, prose(640));
    EXPECT_EQ(summary(made.verify_of({made.v1})),
              Lines{std::string("error leak: ground_truth/") + form + "|text_dataset/train/ley/x.txt"});
  }
  // Where muestras is there, it is what counts.
  const Made made;
  put_flat_truth(made.v1);
  fs::copy(made.v1 / "ground_truth/muestras", made.v1 / "ground_truth/muestras_unificado", fs::copy_options::recursive);
  put(made.v1 / "text_dataset/train/ley/leak.txt", io::read_text(made.v1 / "ground_truth/muestras/ley/ley0.txt"));
  EXPECT_EQ(summary(made.verify_of({made.v1})),
            Lines{"error leak: ground_truth/muestras/ley/ley0.txt|text_dataset/train/ley/leak.txt"});
  std::string bytes = io::read_text(made.v1 / "ground_truth/muestras_unificado/acta/acta1.txt");
  bytes[0] ^= 1;  // of the same size
  put(made.v1 / "ground_truth/muestras_unificado/acta/acta1.txt", bytes);
  EXPECT_EQ(summary(made.verify_of({made.v1}))[0],
            "error truth_differs: ground_truth/muestras/acta/acta1.txt|other bytes in ground_truth/muestras_unificado");
}

TEST(DataVerify, OnlyTrainAgainstEvaluationBetweenVersions) {
  const Made made;
  fs::remove_all(made.v2);
  const auto put_in = [&](const fs::path& version, const char* name, const std::string& text) {
    put(version / name, text);
  };
  for (const char* label : {"acta", "ley"}) {
    for (const char* split : {"train", "val", "test"})
      put(made.v2 / "text_dataset" / split / label / "1.txt", prose(label[0] * 10 + split[0] + split[1]));
  }
  put_in(made.v1, "text_dataset/val/ley/e.txt", prose(610));
  put_in(made.v2, "text_dataset/test/ley/e.txt", prose(610));  // neither has learnt it
  put_in(made.v1, "text_dataset/val/ley/t.txt", prose(620));
  put_in(made.v2, "text_dataset/train/ley/t.txt", prose(620));
  put_in(made.v1, "text_dataset/train/ley/n.txt", prose(630, 200));
  put_in(made.v2, "text_dataset/train/acta/n.txt", prose(630, 200) + "y final");  // nearly the same is not relabelled
  const auto found = made.verify_of({made.v1, made.v2});
  EXPECT_EQ(summary(found),
            Lines{"warning leak_between_versions: text_dataset/val/ley/t.txt|text_dataset/train/ley/t.txt"});
  EXPECT_EQ(found.at(0).where, "text_model/data_v1 and text_model/data_v2");
}

TEST(DataVerify, TypologiesWithoutFiles) {
  const Made made;
  fs::create_directory(made.v1 / "text_dataset/train/contrato");
  put(made.v1 / "text_dataset/val/contrato/1.txt", prose(660));
  put(made.v1 / "text_dataset/test/nueva/1.txt", prose(670));
  fs::remove_all(made.v1 / "ground_truth/muestras/acta");
  fs::create_directory(made.v1 / "ground_truth/muestras/acta");
  fs::create_directory(made.v1 / "ground_truth/muestras/nueva");
  Lines labels;
  for (const std::string& line : summary(made.verify_of({made.v1})))
    if (line.find("label_missing") != std::string::npos) labels.push_back(line);
  EXPECT_EQ(labels,
            (Lines{"error label_missing: contrato|1 file of text_dataset/val",
                   "error label_missing: nueva|1 file of text_dataset/test",
                   "warning label_missing: acta|3 files of text_dataset/train ley|3 files of text_dataset/train",
                   "warning label_missing: acta|3 files of text_dataset/train"}));
}

TEST(DataVerify, WhereImbalanceAndShiftBegin) {
  const auto findings_of = [](int acta, int ley, int val_acta, int val_ley) {
    TemporaryFolder folder;
    const auto put_files = [&](const char* where, int count) {
      fs::create_directories(folder / where);
      for (int i = 0; i < count; ++i) put(folder / where / (std::to_string(i) + ".txt"), where + prose(i));
    };
    put_files("train/acta", acta);
    put_files("train/ley", ley);
    put_files("val/acta", val_acta);
    put_files("val/ley", val_ley);
    Lines kinds;
    for (const Finding& finding : verify({read_version(folder.path(), kTeam)}, {.near = 1}, kTeam))
      if (finding.kind == "imbalance" || finding.kind == "shift") kinds.push_back(finding.kind);
    return kinds;
  };
  EXPECT_EQ(findings_of(20, 1, 20, 1), Lines{});
  EXPECT_EQ(findings_of(21, 1, 21, 1), Lines{"imbalance"});
  EXPECT_EQ(findings_of(10, 10, 7, 3), Lines{});          // 0.2
  EXPECT_EQ(findings_of(10, 10, 15, 5), Lines{"shift"});  // 0.25
  EXPECT_EQ(findings_of(10, 10, 0, 0), Lines{});          // nothing to compare
}

// A sync into the version's own folder, above it, into a part of it; and what another version's says nothing about.
TEST(DataVerify, WhichRunsOfSyncCount) {
  const Made made;
  io::sync::Manifest manifest;
  for (const auto& entry : fs::recursive_directory_iterator(made.v1))
    if (entry.is_regular_file())
      manifest.files[entry.path().lexically_relative(made.v1).generic_string()] = {.etag = md5_of(entry.path()),
                                                                                   .size = entry.file_size()};
  put(made.v1 / io::sync::kStateFolder / "manifest.jsonl", io::sync::to_text(manifest));
  EXPECT_EQ(summary(made.verify_of({made.v1})), Lines{});
  fs::remove_all(made.v1 / io::sync::kStateFolder);
  for (const auto& [folder, counts] : {std::pair("text_model", true),
                                       {"text_model/data_v1", true},
                                       {"text_model/data_v1/text_dataset", true},
                                       {"", true},
                                       {"text_model/data_v10", false},
                                       {"text_model/data_v2", false}}) {
    io::sync::Manifest above;
    for (const auto& [path, file] : manifest.files) above.files["text_model/data_v1/" + path] = file;
    above.folders[folder] = {.from = "s3://b/", .complete = false};
    put(made.folder / "clasificacion" / io::sync::kStateFolder / "manifest.jsonl", io::sync::to_text(above));
    EXPECT_EQ(summary(made.verify_of({made.v1})), counts ? Lines{"warning synchronised:"} : Lines{}) << folder;
  }
}

// Reading it fails, for root too.
void put_unreadable(const fs::path& path) {
  fs::create_directories(path.parent_path());
  fs::create_symlink("/proc/self/mem", path);
}

TEST(DataVersions, AFileThatCannotBeReadIsCountedAndNamed) {
  const Made made;
  put_unreadable(made.v1 / "text_dataset/train/ley/3.txt");
  put_unreadable(made.v1 / "text_dataset/val/ley/3.txt");
  put(made.v1 / "text_dataset/train/ley/4.txt", "");
  const Version version = read_version(made.v1, kTeam);
  EXPECT_EQ(version.splits[0].counts().at("ley"), 5);
  EXPECT_EQ(version.splits[0].files[6].sha256, "unreadable");
  io::sync::Manifest manifest;
  for (const Split& split : version.splits)
    for (const File& file : split.files)
      manifest.files[split.name + "/" + file.name] = {.etag = "many-2", .size = file.bytes};  // of an upload in parts
  put(made.v1 / io::sync::kStateFolder / "manifest.jsonl", io::sync::to_text(manifest));
  const std::string problem = version.splits[0].files[6].problem;
  EXPECT_TRUE(contains(problem, "3.txt"));
  const std::string train = " text_dataset/train/ley/3.txt|" + problem,
                    val = " text_dataset/val/ley/3.txt|" + version.splits[1].files[6].problem;
  EXPECT_EQ(summary(made.verify_of({made.v1})),
            (Lines{"error unusable:" + train + " text_dataset/train/ley/4.txt|empty" + val,
                   "error synchronised:" + train + val}));
}

TEST(DataVersions, AreNotLookedForDeeper) {
  TemporaryFolder folder;
  put(folder / "a/b/data_v1/train/x/1.txt", "x");
  put(folder / "a/b/c/data_v2/train/x/1.txt", "x");
  EXPECT_EQ(find_versions(folder.path()), std::vector<fs::path>{folder / "a/b/data_v1"});
}

TEST(DataVerify, TextsByAnyNameThatTellsIt) {
  const Made made;
  const std::string text = prose(600, 200);
  put(made.v1 / "text_dataset/train/ley/BLANK.TXT", " ");
  put(made.v1 / "text_dataset/train/ley/NEAR.TXT", text);
  // Of the same bytes one name is a text's, whichever comes last.
  put(made.v1 / "ground_truth/muestras/ley/a.txt", text + "uno");
  put(made.v1 / "ground_truth/muestras/ley/b.dat", text + "uno");
  EXPECT_EQ(summary(made.verify_of({made.v1})),
            (Lines{"error unusable: text_dataset/train/ley/BLANK.TXT|empty: nothing but white space",
                   "warning leak: ground_truth/muestras/ley/a.txt|text_dataset/train/ley/NEAR.TXT "
                   "ground_truth/muestras/ley/b.dat|text_dataset/train/ley/NEAR.TXT",
                   "warning repeated: ground_truth/muestras/ley/b.dat|ground_truth/muestras/ley/a.txt"}));
}

// Within one split too, and no nearer or farther than was asked for.
TEST(DataVerify, NearDuplicatesOfOneSplit) {
  const Made made;
  std::string text;
  for (int i = 0; i < 40; ++i) text += "voz" + std::to_string(i) + " ";
  put(made.v1 / "text_dataset/train/acta/x.txt", text);
  put(made.v1 / "text_dataset/train/ley/y.txt", text + "uno dos tres");
  const auto found = [&](double near, int words) {
    return verify({read_version(made.v1, kTeam)}, {.near = near, .shingle_words = words}, kTeam);
  };
  const std::string pair = " text_dataset/train/ley/y.txt|text_dataset/train/acta/x.txt";
  const auto five = found(36. / 39, 5);  // 40 and 43 words: 36 and 39 shingles
  EXPECT_EQ(summary(five), (Lines{"warning conflict:" + pair, "warning repeated:" + pair}));
  ASSERT_EQ(five.size(), 2u);
  EXPECT_EQ(five[0].text, "1 file of text_dataset/train is nearly the same as one of it under another typology");
  EXPECT_EQ(*five[0].items[0].similarity, 36. / 39);
  EXPECT_EQ(*found(0.9, 3)[0].items[0].similarity, 38. / 41);
  EXPECT_EQ(summary(found(0.925, 5)), Lines{});
}

}  // namespace
}  // namespace aid::train::dataset
