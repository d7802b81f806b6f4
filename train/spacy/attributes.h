// The attributes of words that spaCy's models read, by the names and numbers that its files have (spacy/attrs.pyx).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/spacy/tokenizer.h"

namespace aid::train {

// Nothing for what aid's tokenizer does not know.
std::optional<uint64_t> attribute_number(std::string_view name);
bool is_attribute(uint64_t number);
std::string attribute_name(uint64_t number);  // of one that is
std::string attribute_names();                // "IS_SPACE, ORTH, ..."

// As doc.to_array() gives it.
uint64_t attribute_of(const tokenizer::spacy::Token& token, uint64_t number);

}  // namespace aid::train
