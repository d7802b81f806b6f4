// What a text categorizer learns from, or is measured by: labelled folders of texts, or spaCy's .spacy files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "kernels/core/thread_team.h"
#include "train/console/progress.h"

namespace aid::train {

struct TextCatTexts {
  std::vector<std::string> utf8;
  std::vector<float> truth;  // [texts, labels]: 0 or 1
  std::vector<float> known;  // [texts, labels]: 0 where a file does not say; empty: all is known
  std::string sha256;        // of the folder's manifest, or of the files
};
struct TextCatCorpora {
  std::vector<std::string>
      labels;  // the folders' names in order, or of --train's files the cats in order of appearance
  TextCatTexts train, val;
};

// A path is a folder DIR/LABEL/*.txt, a file *.spacy, or a folder with such files below it. Throws io::Error.
TextCatCorpora read_textcat_corpora(const std::filesystem::path& train, const std::filesystem::path& val,
                                    const ThreadTeam& team, Progress& progress);

// The label of each text where it has exactly one; else nothing.
std::optional<std::vector<int32_t>> single_labels(const TextCatTexts& texts, size_t labels);

}  // namespace aid::train
