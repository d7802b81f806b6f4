#pragma once

#include "tokenizer/spacy/config_file.h"

namespace aid::tokenizer::spacy {

/// Whether a pipeline's files state its tokenizer whole. Throws Error, naming the section and key, where [nlp]
/// tokenizer is not spacy.Tokenizer.v1, where its language has code of its own, and where callbacks may change what was
/// read.
void check_tokenizer_is_spacys(const ConfigFile& config);

}  // namespace aid::tokenizer::spacy
