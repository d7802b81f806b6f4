#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace aid::tokenizer::spacy {

/// A pattern that cannot be reproduced, and where and why.
class PatternError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A pattern of Python's `re` (str, no flags but a leading (?u)) as one of PCRE2, for PCRE2_UTF without PCRE2_UCP, with
/// LF as the newline: both then find the same matches in the same order, being backtracking matchers that try
/// alternatives from the left.
///
/// It is read whole and written anew, since the two disagree in what they take for special ("[[:", "{,3}", "\Z"), in
/// what \w, \d and \s are, and in which code points are letters. Groups do not capture. Refused is what would need a
/// proof: flags, back references, conditions, named characters, and repeats of what may match the empty string, which
/// the two leave at different times.
std::string pcre2_pattern(std::string_view python);

}  // namespace aid::tokenizer::spacy
