// A pipeline without weights: what a training begins with where it has no pipeline to begin with.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace aid::train {

// Whose tokenizers aid has by itself: "es", "xx".
std::vector<std::string> known_languages();
// The bytes of the file `tokenizer` of spacy.blank(language). Throws io::Error for another language.
std::string_view tokenizer_of(std::string_view language);

// A config.cfg: spaCy's text categorizer as it comes (TextCatEnsemble.v2 with a convolutional network of 64 columns and
// a bag of words), and the training parameters of `spacy init config`.
std::string default_config(std::string_view language);

}  // namespace aid::train
