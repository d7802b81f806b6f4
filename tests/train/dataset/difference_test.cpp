#include "train/dataset/difference.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace aid::train::dataset {
namespace {

using Lines = std::vector<std::string>;

// By hand: {name below the version, sha256}; the first folder of two is the split, but for the forms of the truth.
Version version_of(const std::vector<std::pair<std::string, std::string>>& files) {
  Version version{.folder = "/nowhere", .name = "v"};
  for (const auto& [name, hash] : files) {
    const bool truth = name.starts_with("ground_truth/");
    const std::string split_name = name.substr(0, name.find('/', truth ? 13 : 0));
    const std::string below = name.substr(split_name.size() + 1);
    auto split = std::find_if(version.splits.begin(), version.splits.end(),
                              [&](const Split& s) { return s.name == split_name; });
    if (split == version.splits.end()) {
      version.splits.push_back({.name = split_name,
                                .role = truth ? Role::truth : Role::train,
                                .flat = split_name.find("todas") != std::string::npos,
                                .unified = split_name.ends_with("_unificado")});
      split = version.splits.end() - 1;
    }
    const std::string label = split->flat ? "" : below.substr(0, below.find('/'));
    split->files.push_back(
        {.name = below, .label = label, .path = "/nowhere/" + name, .bytes = 5, .sha256 = hash, .problem = ""});
  }
  return version;
}
Lines kinds_of(const Version& before, const Version& after) {
  Lines lines;
  for (const Change& change : difference(before, after))
    lines.push_back(std::string(name_of(change.kind)) + " " + change.old_label + ">" + change.label);
  return lines;
}

TEST(DataDifference, WhatMatchesAndWhatDoesNot) {
  EXPECT_EQ(kinds_of(version_of({{"train/a/1", "x"}}), version_of({{"train/a/1", "y"}})), Lines{"changed a>a"});
  EXPECT_EQ(kinds_of(version_of({{"train/a/1", "x"}}), version_of({{"train/b/1", "x"}})), Lines{"moved typology a>b"});
  // Of files that cannot be read nothing is known.
  EXPECT_EQ(kinds_of(version_of({{"train/a/1", "unreadable"}}), version_of({{"train/a/2", "unreadable"}})),
            (Lines{"added >a", "removed a>a"}));
  // A form of the truth is no split to move to.
  for (const char* form : {"ground_truth/todas/1", "ground_truth/muestras_unificado/a/1"}) {
    EXPECT_EQ(kinds_of(version_of({{"train/a/1", "x"}}), version_of({{"train/b/2", "y"}, {form, "x"}})).size(), 3u);
    EXPECT_EQ(kinds_of(version_of({{form, "x"}}), version_of({{"train/a/1", "x"}})).size(), 2u);
  }
  EXPECT_EQ(kinds_of(version_of({{"train/a/1", "x"}}), version_of({{"ground_truth/muestras/a/1", "x"}})),
            Lines{"moved split a>a"});
}

}  // namespace
}  // namespace aid::train::dataset
