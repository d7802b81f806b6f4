#pragma once

#include <filesystem>
#include <memory>

#include "train/model/classifier.h"

namespace aid::train {

// The text categorizer of a spaCy 3 pipeline, with the scores that spaCy gives (doc.cats). Whole documents, in f32:
// options that say otherwise are an io::Error.
std::unique_ptr<Classifier> open_textcat_classifier(const std::filesystem::path& folder, const OpenOptions& options);

}  // namespace aid::train
