#include "tokenizer/unicode.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "tokenizer/runs.h"

namespace aid::tokenizer {
namespace {

struct Decomposition {
  char32_t from;
  char32_t to[4];  // ends at the first 0
};

#include "tokenizer/unicode_tables.inc"

}  // namespace

Unicode::Unicode() : records_(kRecords) {
  static const std::vector<uint8_t> record_of = expand_runs(kRuns);
  record_of_ = record_of.data();
}

Decomposed::Decomposed(char32_t code_point) {
  constexpr char32_t kSyllables = 0xAC00, kSyllableCount = 11172;
  if (code_point >= kSyllables && code_point < kSyllables + kSyllableCount) {  // Unicode, section 3.12
    const char32_t index = code_point - kSyllables;
    parts_[count_++] = 0x1100 + index / 588;
    parts_[count_++] = 0x1161 + index % 588 / 28;
    if (index % 28 != 0) parts_[count_++] = 0x11A7 + index % 28;
    return;
  }
  const auto* found = std::lower_bound(std::begin(kDecompositions), std::end(kDecompositions), code_point,
                                       [](const Decomposition& entry, char32_t key) { return entry.from < key; });
  while (count_ < 4 && found->to[count_] != 0) {
    parts_[count_] = found->to[count_];
    ++count_;
  }
}

}  // namespace aid::tokenizer
