// A labelled folder's texts, read into memory, and what there is to tell about them before training.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/dataset.h"
#include "kernels/core/thread_team.h"

namespace aid::train {

struct TextData {
  std::vector<std::string> labels;
  std::vector<std::string> utf8;             // [texts]
  std::vector<int32_t> classes;              // [texts], into labels
  std::vector<io::Skipped> skipped;          // names that are no texts, and texts that could not be read
  std::map<std::string, int64_t> encodings;  // "UTF-8" -> how many texts
};

// Texts stand in the folder's order, whatever the number of threads. Throws io::Error where none can be read.
TextData read_texts(const io::LabelledFolder& folder, const ThreadTeam& team);

std::vector<int64_t> count_classes(const TextData& data);

// A line per class with its texts in both sets.
std::string describe_classes(const TextData& train, const TextData& val);
// "4790 in UTF-8, 10 in Windows-1252"
std::string describe_encodings(const TextData& data);

}  // namespace aid::train
