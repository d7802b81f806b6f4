#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace aid::tokenizer::spacy {

/// A set of code points, for the character classes of patterns: Python's \w, \d and \s are written out, so that they
/// do not depend on the Unicode version that the regular expressions' library has.
class CharacterSet {
 public:
  /// All code points with any of these CharacterFlags.
  static CharacterSet of_flags(uint8_t flags);

  void add(char32_t first, char32_t last);
  void add(const CharacterSet& other);
  CharacterSet complement() const;

  /// As a class of PCRE2. The surrogates, which no text holds, are left out.
  std::string pattern() const;

 private:
  struct Range {
    char32_t first, last;
  };
  void normalise();

  std::vector<Range> ranges_;  // ascending, with gaps between them
};

/// A code point as PCRE2 takes it anywhere in a pattern.
std::string escaped(char32_t code_point);

}  // namespace aid::tokenizer::spacy
