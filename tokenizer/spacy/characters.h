#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace aid::tokenizer::spacy {

/// What Python's str says of a code point: isspace(), isalpha(), isupper(), isdigit(), isdecimal(), isalnum() or "_".
enum CharacterFlags : uint8_t {
  kSpace = 1,
  kAlpha = 2,
  kUpper = 4,
  kDigit = 8,
  kDecimal = 16,
  kWord = 32,
  kCased = 64,           // and the two that str.lower() asks for around a capital sigma; one that is both is
  kCaseIgnorable = 128,  // kCaseIgnorable
};

struct Character {
  uint8_t flags;
  int32_t lower;  // what to add for the lower case; U+0130 alone becomes two (U+0069 U+0307)
};

const Character& character(char32_t code_point);

/// str.lower() of valid UTF-8.
std::string lower(std::string_view text);

}  // namespace aid::tokenizer::spacy
