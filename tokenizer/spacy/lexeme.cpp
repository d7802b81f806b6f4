#include "tokenizer/spacy/lexeme.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>

#include "tokenizer/spacy/characters.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer::spacy {
namespace {

struct Symbol {
  std::string_view name;
  uint64_t id;
};

struct BaseNorm {
  std::string_view name;
  std::string_view norm;
};

#include "tokenizer/spacy/strings.inc"

template <typename Entry, size_t kCount>
const Entry* find(const Entry (&sorted)[kCount], std::string_view name) {
  const Entry* found = std::lower_bound(std::begin(sorted), std::end(sorted), name,
                                        [](const Entry& entry, std::string_view key) { return entry.name < key; });
  return found != std::end(sorted) && found->name == name ? found : nullptr;
}

std::string shape_of(const std::u32string& word) {
  constexpr size_t kLong = 100;
  constexpr int kLongestRun = 4;
  if (word.size() >= kLong) return "LONG";
  std::string shape;
  char32_t last = U'\0';
  int run = 0;
  bool first = true;
  for (const char32_t c : word) {
    const uint8_t flags = character(c).flags;
    const char32_t kind = flags & kAlpha ? flags & kUpper ? U'X' : U'x' : flags & kDigit ? U'd' : c;
    run = !first && kind == last ? run + 1 : 0;
    last = kind;
    first = false;
    if (run < kLongestRun) append_utf8(shape, kind);
  }
  return shape;
}

std::string utf8_of(std::u32string_view code_points) {
  std::string text;
  for (const char32_t c : code_points) append_utf8(text, c);
  return text;
}

}  // namespace

uint64_t murmur_hash_64a(std::string_view text, uint64_t seed) {
  constexpr uint64_t kMultiplier = 0xC6A4A7935BD1E995;
  constexpr int kShift = 47;
  uint64_t hash = seed ^ (text.size() * kMultiplier);
  for (; text.size() >= 8; text.remove_prefix(8)) {
    uint64_t block;
    std::memcpy(&block, text.data(), 8);
    block *= kMultiplier;
    block ^= block >> kShift;
    hash = (hash ^ block * kMultiplier) * kMultiplier;
  }
  if (!text.empty()) {
    uint64_t rest = 0;
    std::memcpy(&rest, text.data(), text.size());
    hash = (hash ^ rest) * kMultiplier;
  }
  hash = (hash ^ hash >> kShift) * kMultiplier;
  return hash ^ hash >> kShift;
}

uint64_t string_id(std::string_view text) {
  constexpr uint64_t kSeed = 1;
  if (text.empty()) return 0;
  const Symbol* symbol = find(kSymbols, text);
  return symbol != nullptr ? symbol->id : murmur_hash_64a(text, kSeed);
}

Lexeme make_lexeme(std::string_view word, const Norms& norms) {
  constexpr size_t kSuffix = 3;
  const std::u32string code_points = decode_utf8(word);
  Lexeme lexeme;
  lexeme.orth = string_id(word);
  lexeme.lower = string_id(lower(word));
  if (const auto given = norms.find(lexeme.orth); given != norms.end()) {
    lexeme.norm = string_id(given->second);
  } else if (const BaseNorm* base = find(kBaseNorms, word)) {
    lexeme.norm = string_id(base->norm);
  } else {
    lexeme.norm = lexeme.lower;
  }
  lexeme.shape = string_id(shape_of(code_points));
  lexeme.prefix = string_id(utf8_of(code_points.substr(0, 1)));
  lexeme.suffix = string_id(utf8_of(code_points.substr(code_points.size() - std::min(code_points.size(), kSuffix))));
  lexeme.is_space =
      std::all_of(code_points.begin(), code_points.end(), [](char32_t c) { return character(c).flags & kSpace; });
  return lexeme;
}

bool is_plain_language(std::string_view code) {
  return std::binary_search(std::begin(kLanguages), std::end(kLanguages), code);
}

}  // namespace aid::tokenizer::spacy
