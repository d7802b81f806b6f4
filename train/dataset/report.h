// Versions, differences and findings as text for a terminal and as JSON.
#pragma once

#include <string>
#include <vector>

#include "train/dataset/difference.h"
#include "train/dataset/verify.h"
#include "train/dataset/version.h"

namespace aid::train::dataset {

// A table per version: typologies by splits, with sums, sizes and fingerprints.
std::string to_text(const std::vector<Version>& versions);
// {"versions": [{"name", "path", "version", "kind", "sha256", "splits": [{"name", "role", "files", "bytes", "sha256",
// "labels": {LABEL: files}, "left_out"}]}]}
std::string to_json(const std::vector<Version>& versions);

struct Compared {
  const Version& before;
  const Version& after;
  const std::vector<Change>& changes;
};
// Counts by typology before and after, then the changes, at most `shown` of each kind.
std::string to_text(const Compared& compared, size_t shown);
// {"before", "after", "counts": {KIND: n}, "changes": [{"kind", "split", "file", "old_split", "old_file"}]}
std::string to_json(const Compared& compared);

// A line per finding, with at most `shown` of its files.
std::string to_text(const std::vector<Finding>& findings, size_t shown);
// {"errors": n, "warnings": n, "findings": [{"severity", "kind", "where", "text", "items": [...]}]}
std::string to_json(const std::vector<Finding>& findings);

}  // namespace aid::train::dataset
