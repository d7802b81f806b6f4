#pragma once

#include <filesystem>
#include <memory>

#include "train/model/classifier.h"

namespace aid::train {

// BETO and DistilBETO: a Hugging Face directory, with what aid.json says of long texts where there is one; without, the
// first tokens that the model takes, as transformers' pipeline does with truncation.
std::unique_ptr<Classifier> open_bert_classifier(const std::filesystem::path& folder, const OpenOptions& options);

}  // namespace aid::train
