#include "tokenizer/spacy/character_set.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "tokenizer/spacy/characters.h"

namespace aid::tokenizer::spacy {
namespace {

constexpr char32_t kLastCodePoint = 0x10FFFF;
constexpr char32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

}  // namespace

CharacterSet CharacterSet::of_flags(uint8_t flags) {
  CharacterSet set;
  for (char32_t c = 0; c <= kLastCodePoint; ++c) {
    if ((character(c).flags & flags) == 0) continue;
    if (!set.ranges_.empty() && set.ranges_.back().last + 1 == c) {
      set.ranges_.back().last = c;
    } else {
      set.ranges_.push_back({c, c});
    }
  }
  return set;
}

void CharacterSet::add(char32_t first, char32_t last) {
  ranges_.push_back({first, last});
  normalise();
}

void CharacterSet::add(const CharacterSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  normalise();
}

void CharacterSet::normalise() {
  std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  size_t kept = 0;
  for (const Range& range : ranges_) {
    if (kept > 0 && range.first <= ranges_[kept - 1].last + 1) {
      ranges_[kept - 1].last = std::max(ranges_[kept - 1].last, range.last);
    } else {
      ranges_[kept++] = range;
    }
  }
  ranges_.resize(kept);
}

CharacterSet CharacterSet::complement() const {
  CharacterSet set;
  char32_t next = 0;
  for (const Range& range : ranges_) {
    if (next < range.first) set.ranges_.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) set.ranges_.push_back({next, kLastCodePoint});
  return set;
}

std::string CharacterSet::pattern() const {
  std::string classes;
  for (Range range : ranges_) {
    if (range.first >= kFirstSurrogate && range.first <= kLastSurrogate) range.first = kLastSurrogate + 1;
    if (range.last >= kFirstSurrogate && range.last <= kLastSurrogate) range.last = kFirstSurrogate - 1;
    if (range.first > range.last) continue;
    classes += escaped(range.first);
    if (range.first < range.last) classes += '-' + escaped(range.last);
  }
  return classes.empty() ? "(?!)" : '[' + classes + ']';
}

std::string escaped(char32_t code_point) {
  const bool plain = (code_point >= U'0' && code_point <= U'9') || (code_point >= U'A' && code_point <= U'Z') ||
                     (code_point >= U'a' && code_point <= U'z');
  if (plain) return {static_cast<char>(code_point)};
  std::array<char, 8> digits;
  const auto end = std::to_chars(digits.begin(), digits.end(), static_cast<uint32_t>(code_point), 16).ptr;
  return "\\x{" + std::string(digits.begin(), end) + '}';
}

}  // namespace aid::tokenizer::spacy
