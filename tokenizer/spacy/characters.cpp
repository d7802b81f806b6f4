#include "tokenizer/spacy/characters.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "tokenizer/runs.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer::spacy {
namespace {

#include "tokenizer/spacy/characters.inc"

constexpr char32_t kCapitalSigma = 0x3A3, kSmallSigma = 0x3C3, kFinalSigma = 0x3C2;
constexpr char32_t kCapitalIWithDot = 0x130, kDotAbove = 0x307;

// Whether a capital sigma at `at` ends a word: a cased letter before it and none after it, past what is case-ignorable.
bool ends_word(const std::u32string& text, size_t at) {
  const auto ignorable = [](char32_t c) { return (character(c).flags & kCaseIgnorable) != 0; };
  const auto cased = [](char32_t c) { return (character(c).flags & kCased) != 0; };
  const auto before = std::find_if_not(text.rend() - static_cast<std::ptrdiff_t>(at), text.rend(), ignorable);
  if (before == text.rend() || !cased(*before)) return false;
  const auto after = std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(at) + 1, text.end(), ignorable);
  return after == text.end() || !cased(*after);
}

}  // namespace

const Character& character(char32_t code_point) {
  static const std::vector<uint8_t> record_of = expand_runs(kRuns);
  return kRecords[record_of[code_point]];
}

std::string lower(std::string_view text) {
  const std::u32string code_points = decode_utf8(text);
  std::string lowered;
  lowered.reserve(text.size());
  for (size_t i = 0; i < code_points.size(); ++i) {
    char32_t c = code_points[i];
    if (c == kCapitalSigma) {
      c = ends_word(code_points, i) ? kFinalSigma : kSmallSigma;
    } else {
      c += static_cast<char32_t>(character(c).lower);
    }
    append_utf8(lowered, c);
    if (code_points[i] == kCapitalIWithDot) append_utf8(lowered, kDotAbove);
  }
  return lowered;
}

}  // namespace aid::tokenizer::spacy
