#include "io/sync/paths.h"

#include <gtest/gtest.h>

#include "io/sync/plan.h"
#include "tests/io/test_files.h"

namespace aid::io::sync {
namespace {

using io::test::contains;
using namespace std::string_literals;

TEST(SyncPaths, SafeNames) {
  for (const std::string& path :
       {"a"s, "a/b c/ñ+%41 🧾.txt"s, "..."s, "a/..b"s, ".hidden"s, "back\\slash"s, "a\nb"s, std::string(255, 'x'),
        "1:2"s, "aid-sync/x"s, "ab:c"s, std::string(200, 'x') + "/" + std::string(200, 'y')}) {
    EXPECT_EQ(why_unsafe(path), "") << path;
  }
}

TEST(SyncPaths, UnsafeNames) {
  for (const auto& [path, why] : {std::pair(""s, "empty"),
                                  {"/etc/passwd"s, "absolute"},
                                  {"a//b"s, "empty"},
                                  {"a/"s, "empty"},
                                  {".."s, "'..'"},
                                  {"../x"s, "'..'"},
                                  {"a/../../x"s, "'..'"},
                                  {"a/.."s, "'..'"},
                                  {"./a"s, "'.'"},
                                  {"a/."s, "'.'"},
                                  {"C:\\x"s, "drive"},
                                  {"c:"s, "drive"},
                                  {"a\0b"s, "NUL"},
                                  {"a\xff"s, "UTF-8"},
                                  {"a/.aid-sync/manifest.jsonl"s, "manifest"},
                                  {".aid-sync"s, "manifest"},
                                  {std::string(256, 'x'), "256"}}) {
    EXPECT_TRUE(contains(why_unsafe(path), why)) << path;
  }
}

TEST(SyncPaths, NamesThatNoFolderHoldsTogether) {
  NameSet names(NameCase::sensitive);
  EXPECT_EQ(names.add("a"), "");
  EXPECT_EQ(names.add("a-b"), "");
  EXPECT_TRUE(contains(names.add("a/b"), "'a' is an object"));
  EXPECT_TRUE(contains(names.add("a/b/c"), "'a' is an object"));
  EXPECT_EQ(names.add("A"), "");
  EXPECT_EQ(names.add("x/y/z"), "");
  EXPECT_TRUE(contains(names.add("x/y"), "folder of its name"));
  EXPECT_TRUE(names.contains("x/y/z"));
  EXPECT_FALSE(names.contains("x/y"));
  EXPECT_FALSE(names.contains("a/b"));
}

TEST(SyncPaths, NamesThatDifferInCaseOrAccents) {
  NameSet names(NameCase::insensitive);
  EXPECT_EQ(names.add("Datos/ÑANDÚ.txt"), "");
  EXPECT_TRUE(contains(names.add("datos/ñandú.txt"), "only in case"));
  EXPECT_TRUE(contains(names.add("Datos/N\xCC\x83"
                                 "ANDU\xCC\x81.txt"),
                       "accents"));  // the same, decomposed
  EXPECT_EQ(names.add("datos/otro"), "");
  EXPECT_TRUE(names.contains("DATOS/OTRO"));
}

TEST(SyncPaths, Patterns) {
  for (const auto& [pattern, text] : {std::pair("*", ""),
                                      {"*", "a/b"},
                                      {"*.txt", "a/b.txt"},
                                      {"a?c", "abc"},
                                      {"[a-c]x", "bx"},
                                      {"[!a-c]x", "dx"},
                                      {"a*b*c", "a1b2b3c"},
                                      {"[]]", "]"},
                                      {"[x", "[x"},
                                      {"a?o?", "año🧾"},  // a character, not a byte
                                      {"[ñ]x", "ñx"},
                                      {"[á-ú]x", "éx"},
                                      {"[!ñ]x", "nx"},
                                      {"*ñ", "\xff/ñ"},
                                      {"?", "\xff"},
                                      {"train/*/1.txt", "train/a/b/1.txt"},
                                      {"", ""},
                                      {"**", "x"}}) {
    EXPECT_TRUE(matches(pattern, text)) << pattern << " " << text;
  }
  for (const auto& [pattern, text] : {std::pair("", "a"),
                                      {"*.txt", "a.txt.gz"},
                                      {"a?c", "ac"},
                                      {"[a-c]x", "dx"},
                                      {"[!a-c]x", "ax"},
                                      {"a??o", "año"},
                                      {"[!ñ]x", "ñx"},
                                      {"[á-ú]x", "ax"},
                                      {"[c-a]x", "bx"},
                                      {"a", "ab"},
                                      {"b", "ab"},
                                      {"a*b", "a"}}) {
    EXPECT_FALSE(matches(pattern, text)) << pattern << " " << text;
  }
}

TEST(SyncPaths, TheLastRuleThatMatchesCounts) {
  const std::vector<FilterRule> rules = {
      {Choice::exclude, "*"}, {Choice::include, "*.txt"}, {Choice::exclude, "tmp/*"}};
  EXPECT_TRUE(is_wanted(rules, "a/b.txt"));
  EXPECT_FALSE(is_wanted(rules, "a/b.pdf"));
  EXPECT_FALSE(is_wanted(rules, "tmp/b.txt"));
  EXPECT_TRUE(is_wanted({}, "x"));
}

TEST(SyncPaths, NamesAreShownWithoutHarm) {
  EXPECT_EQ(printable("ñ \x1b[2J\n\xff\xC2\x9B."), "ñ \\x1b[2J\\x0a\\xff\\xc2\\x9b.");
}

TEST(SyncPlan, WhatIsNotKnownToBeEqualIsLookedAt) {
  const ObjectState object{.etag = "e", .size = 5};
  const LocalFile file{.size = 5, .mtime = 9};
  const SyncedFile known{.etag = "e", .size = 5, .mtime = 9};
  const auto with = [&](auto change) {
    SyncedFile other = known;
    change(other);
    return other;
  };
  const SyncedFile etag = with([](SyncedFile&f) { f.etag = "f"; }), time = with([](SyncedFile&f) { f.mtime = 8; }),
                   size = with([](SyncedFile&f) { f.size = 4; });
  EXPECT_EQ(step_for(object, &known, file), Step::none);
  EXPECT_EQ(step_for(object, nullptr, file), Step::compare);
  EXPECT_EQ(step_for(object, &etag, file), Step::compare);
  EXPECT_EQ(step_for(object, &time, file), Step::compare);
  EXPECT_EQ(step_for(object, &size, file), Step::compare);
  EXPECT_EQ(step_for(object, &known, LocalFile{.size = 4, .mtime = 9}), Step::transfer);
  EXPECT_EQ(step_for(object, &known, std::nullopt), Step::transfer);
  EXPECT_EQ(step_for(std::nullopt, &known, file), Step::transfer);
}

TEST(SyncPlan, PartsOfLargeObjects) {
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30, kPart = 16 << 20;
  for (const std::uint64_t size : {std::uint64_t{1}, kPart - 1, kPart, kPart + 1, 4 * kGiB - 1, 4 * kGiB, 5 * kGiB,
                                   5 * kGiB + 3, 5000 * kGiB - 7}) {
    const int parts = part_count(size, kPart);
    std::uint64_t end = 0;
    for (int part = 1; part <= parts; ++part) {
      const PartRange range = part_range(size, kPart, part);
      ASSERT_EQ(range.first, end);
      ASSERT_GT(range.count, 0u);
      ASSERT_LE(range.count, kPart);
      end += range.count;
    }
    EXPECT_EQ(end, size);
  }
}

}  // namespace
}  // namespace aid::io::sync
