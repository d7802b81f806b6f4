#pragma once

#include <string>
#include <string_view>

namespace aid::tokenizer::spacy {

/// Whether a pipeline's files state its tokenizer whole: `config` is the text of its config.cfg (the format of Python's
/// configparser, values being JSON), `file` its name in errors. Throws Error, naming the section and key, where
/// [nlp] tokenizer is not spacy.Tokenizer.v1, where its language has code of its own, and where callbacks may change
/// what was read.
void check_tokenizer_is_spacys(std::string_view config, const std::string& file);

}  // namespace aid::tokenizer::spacy
