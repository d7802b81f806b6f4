#pragma once

#include <cstdint>
#include <span>

namespace aid::tokenizer {

enum CharacterFlags : uint8_t {
  kRemoved = 1,      // clean_text deletes it: U+0000, U+FFFD, Cc but \t \n \r, Cf, Co
  kSpace = 2,        // White_Space
  kPunctuation = 4,  // a word of its own
  kIdeograph = 8,    // CJK, a word of its own
  kDecomposes = 16,  // NFD changes it
  kMark = 32,        // Mn: strip_accents deletes it
};

struct Properties {
  uint8_t flags;
  uint8_t combining_class;  // only the order of the values is Unicode's
  int32_t lower;            // what to add for the lower case; U+0130 alone becomes two (U+0069 U+0307)
};

/// What Hugging Face's `tokenizers` does to each code point (generate_unicode_tables.py asks it).
class Unicode {
 public:
  Unicode();
  const Properties& operator[](char32_t code_point) const { return records_[record_of_[code_point]]; }

 private:
  const Properties* records_;
  const uint8_t* record_of_;  // 0x110000 of them
};

/// Canonical decomposition (NFD) of a code point flagged kDecomposes: up to four code points.
class Decomposed {
 public:
  explicit Decomposed(char32_t code_point);
  const char32_t* begin() const { return parts_; }
  const char32_t* end() const { return parts_ + count_; }

 private:
  char32_t parts_[4];
  int count_ = 0;
};

}  // namespace aid::tokenizer
