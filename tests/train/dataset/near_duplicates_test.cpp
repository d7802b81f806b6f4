#include "train/dataset/near_duplicates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace aid::train::dataset {
namespace {

using Set = std::set<std::vector<std::string>>;

// Shingles by their definition: lists of lower-case words.
Set shingles_by_definition(const std::string& text, size_t words) {
  std::vector<std::string> list(1);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || byte >= 0x80) {
      list.back() += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
    } else if (!list.back().empty()) {
      list.emplace_back();
    }
  }
  if (list.back().empty()) list.pop_back();
  Set shingles;
  for (size_t i = 0; i + words <= list.size(); ++i)
    shingles.emplace(list.begin() + static_cast<std::ptrdiff_t>(i),
                     list.begin() + static_cast<std::ptrdiff_t>(i + words));
  if (shingles.empty() && !list.empty()) shingles.insert(list);
  return shingles;
}

double jaccard_by_definition(const Set& a, const Set& b) {
  std::vector<std::vector<std::string>> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  const size_t either = a.size() + b.size() - both.size();
  return either == 0 ? 0 : static_cast<double>(both.size()) / static_cast<double>(either);
}

// Texts, many of which are an earlier one with a few words changed, added or taken away.
std::vector<std::string> made_texts(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::vector<std::string>> texts;
  const auto word = [&] { return (random() % 4 ? "palabra" : "Año") + std::to_string(random() % 800); };
  for (size_t i = 0; i < count; ++i) {
    std::vector<std::string> text;
    if (i > 0 && random() % 2 == 0) {
      text = texts[random() % i];
      for (unsigned change = random() % 6; change > 0 && !text.empty(); --change) {
        const auto at = text.begin() + static_cast<std::ptrdiff_t>(random() % text.size());
        if (random() % 3 == 0) {
          text.erase(at);
        } else if (random() % 2 == 0) {
          *at = word();
        } else {
          text.insert(at, word());
        }
      }
    } else {
      for (size_t n = random() % 120; n > 0; --n) text.push_back(word());
    }
    texts.push_back(std::move(text));
  }
  std::vector<std::string> joined;
  for (const auto& text : texts) {
    joined.emplace_back();
    for (const std::string& w : text) joined.back() += (joined.back().empty() ? "" : random() % 5 ? " " : ",\n") + w;
  }
  return joined;
}

TEST(NearDuplicates, ShinglesAreThoseOfTheDefinition) {
  const auto texts = made_texts(120, 1);
  for (const int words : {1, 3, 5}) {
    std::vector<Set> expected;
    std::vector<std::vector<uint64_t>> found;
    for (const std::string& text : texts) {
      expected.push_back(shingles_by_definition(text, static_cast<size_t>(words)));
      found.push_back(shingles_of(text, words));
      EXPECT_EQ(found.back().size(), expected.back().size());
    }
    for (size_t a = 0; a < texts.size(); ++a)
      for (size_t b = 0; b <= a; ++b)
        EXPECT_DOUBLE_EQ(jaccard(found[a], found[b]), jaccard_by_definition(expected[a], expected[b]));
  }
}

TEST(NearDuplicates, WhatDoesNotCount) {
  EXPECT_EQ(shingles_of("El  CONTRATO, del año\n2026 vale", 5), shingles_of("el contrato del año 2026 vale.", 5));
  EXPECT_NE(shingles_of("uno dos tres cuatro cinco", 5), shingles_of("cinco cuatro tres dos uno", 5));
  EXPECT_EQ(shingles_of("uno dos", 5).size(), 1u);
  EXPECT_NE(shingles_of("uno dos", 5), shingles_of("unodos", 5));
  EXPECT_TRUE(shingles_of(" \n.,", 5).empty());
  EXPECT_EQ(jaccard({}, {}), 0);
  EXPECT_EQ(jaccard({1, 2, 3}, {2, 3, 4}), 0.5);
}

// Every pair of 1,500 texts is compared: of those at or above the threshold none is overlooked (3e-6 each), and none
// below is told.
TEST(NearDuplicates, FindsWhatComparingEveryPairFinds) {
  std::vector<std::vector<uint64_t>> sets;
  for (const std::string& text : made_texts(1500, 2)) sets.push_back(shingles_of(text, 5));
  for (const double threshold : {0.5, 0.8, 0.95, 1.0}) {
    SCOPED_TRACE(threshold);
    std::vector<NearPair> expected;
    for (size_t a = 0; a < sets.size(); ++a)
      for (size_t b = a + 1; b < sets.size(); ++b)
        if (const double similarity = jaccard(sets[a], sets[b]); similarity >= threshold)
          expected.push_back({a, b, similarity});
    ASSERT_GT(expected.size(), 50u);
    for (const int threads : {1, 3}) {
      const auto found = near_pairs(sets, threshold, ThreadTeam(threads));
      ASSERT_EQ(found.size(), expected.size());
      for (size_t i = 0; i < found.size(); ++i) {
        EXPECT_EQ(found[i].a, expected[i].a);
        EXPECT_EQ(found[i].b, expected[i].b);
        EXPECT_EQ(found[i].similarity, expected[i].similarity);
      }
    }
  }
}

TEST(NearDuplicates, OfNothingAndOfEmptySets) {
  EXPECT_TRUE(near_pairs({}, 0.8, ThreadTeam(1)).empty());
  EXPECT_TRUE(near_pairs({{}, {}, {1}}, 0.8, ThreadTeam(1)).empty());
}

}  // namespace
}  // namespace aid::train::dataset
