// What changed from one version of a data set to another.
#pragma once

#include <string>
#include <vector>

#include "train/dataset/version.h"

namespace aid::train::dataset {

struct Change {
  // changed         the same split, typology and name, other bytes
  // moved_typology  the same bytes in the same split, under another typology
  // moved_split     the same bytes, in another split now (of labelled splits)
  // renamed         the same bytes in the same split and typology, under another name
  enum class Kind : unsigned char { added, removed, changed, moved_typology, moved_split, renamed } kind = Kind::added;
  std::string split, file;          // "text_dataset/train", "LABEL/NAME": as it is now; of a removed one, as it was
  std::string old_split, old_file;  // as it was; of an added one empty
  std::string label, old_label;
};
const char* name_of(Change::Kind kind);

// Sorted by kind, then by split and file. Each file is in one change at most: what has its old name is not matched by
// bytes; of several files with the same bytes, the first by name are matched.
std::vector<Change> difference(const Version& before, const Version& after);

}  // namespace aid::train::dataset
