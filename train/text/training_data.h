// The texts of a training: to learn from, and to choose the weights by.
#pragma once

#include <filesystem>

#include "train/console/progress.h"
#include "train/text/text_data.h"

namespace aid::train {

struct TrainingData {
  io::LabelledFolder train_folder, val_folder;
  TextData train, val;
};

// Tells what was left out, how many texts each label has, and in which encodings. Throws io::Error for labels that only
// one folder has, and for one without a text to learn from.
TrainingData read_training_data(const std::filesystem::path& train, const std::filesystem::path& val,
                                const ThreadTeam& team, Progress& progress);

}  // namespace aid::train
