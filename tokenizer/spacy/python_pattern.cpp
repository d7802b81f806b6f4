#include "tokenizer/spacy/python_pattern.h"

#include <array>
#include <cstdint>
#include <limits>
#include <optional>

#include "tokenizer/spacy/character_set.h"
#include "tokenizer/spacy/characters.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer::spacy {
namespace {

constexpr char32_t kEnd = std::numeric_limits<char32_t>::max();

bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_letter(char32_t c) { return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'); }

const CharacterSet& set_of(uint8_t flag) {
  static const CharacterSet word = CharacterSet::of_flags(kWord), decimal = CharacterSet::of_flags(kDecimal),
                            space = CharacterSet::of_flags(kSpace);
  return flag == kWord ? word : flag == kDecimal ? decimal : space;
}

/// Recursive descent over the grammar of Lib/re/_parser.py.
class Translator {
 public:
  explicit Translator(std::string_view python) : text_(decode_utf8(python)) {}

  std::string translate() {
    take(U"(?u)");
    std::string pattern = alternatives().pattern;
    if (at_ < text_.size()) refuse("a \")\" that closes nothing");
    return pattern;
  }

 private:
  struct Piece {
    std::string pattern;
    bool may_be_empty = true;
    bool repeatable = true;
  };
  // One escape or plain character of a class or of the pattern: a character, or else a set.
  struct Item {
    char32_t character = 0;
    std::optional<CharacterSet> set;
  };
  struct Nested {
    explicit Nested(int& depth) : depth_(depth) { ++depth_; }
    ~Nested() { --depth_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    int& depth_;
  };

  [[noreturn]] void refuse(const std::string& what) const {
    throw PatternError("at character " + std::to_string(at_) + " of the pattern: " + what);
  }
  char32_t peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : kEnd; }
  char32_t next() {
    if (at_ == text_.size()) refuse("it ends too early");
    return text_[at_++];
  }
  bool take(std::u32string_view expected) {
    if (std::u32string_view(text_).substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  Piece alternatives();
  Piece sequence();
  Piece atom();
  Piece group();
  std::optional<std::string> counts(bool& many, bool& may_be_none);
  Piece escape();
  Item escaped_item();
  char32_t hexadecimal(int digits);
  std::string character_class();

  static constexpr int kDeepest = 200;
  std::u32string text_;
  size_t at_ = 0;
  int depth_ = 0;
};

Translator::Piece Translator::alternatives() {
  const Nested nested(depth_);
  if (depth_ > kDeepest) refuse("groups nested more than " + std::to_string(kDeepest) + " deep");
  Piece all = sequence();
  while (take(U"|")) {
    const Piece other = sequence();
    all.pattern += '|' + other.pattern;
    all.may_be_empty = all.may_be_empty || other.may_be_empty;
  }
  return all;
}

Translator::Piece Translator::sequence() {
  Piece all;
  while (peek() != kEnd && peek() != U'|' && peek() != U')') {
    Piece piece = atom();
    bool many = false, may_be_none = false;
    if (const auto count = counts(many, may_be_none)) {
      if (!piece.repeatable) refuse("a repeat of nothing");
      if (many && piece.may_be_empty) refuse("a repeat of what may match the empty string; give it something to match");
      piece.pattern += *count;
      piece.may_be_empty = piece.may_be_empty || may_be_none;
      bool again = false;
      if (counts(again, again)) refuse("a repeat of a repeat");
    }
    all.pattern += piece.pattern;
    all.may_be_empty = all.may_be_empty && piece.may_be_empty;
  }
  return all;
}

// A quantifier, if one stands here. A brace that opens none is a character.
std::optional<std::string> Translator::counts(bool& many, bool& may_be_none) {
  std::string count;
  if (take(U"*")) {
    count = "*";
  } else if (take(U"+")) {
    count = "+";
  } else if (take(U"?")) {
    count = "?";
  } else if (peek() == U'{' && peek(1) != U'}') {
    const size_t begin = at_++;
    std::string least, most;
    while (is_digit(peek())) least += static_cast<char>(next());
    const bool range = take(U",");
    while (range && is_digit(peek())) most += static_cast<char>(next());
    if (!take(U"}")) {
      at_ = begin;
      return std::nullopt;
    }
    constexpr size_t kMostDigits = 5;  // PCRE2 counts to 65535, and says so of what is more
    if (least.size() > kMostDigits || most.size() > kMostDigits) refuse("a repeat of more than 65535 times");
    if (least.empty()) least = "0";
    count = '{' + least + (range ? ',' + most : "") + '}';
    may_be_none = std::stoi(least) == 0;
    many = range ? most.empty() || std::stoi(most) > 1 : std::stoi(least) > 1;
  } else {
    return std::nullopt;
  }
  if (count == "*" || count == "+") many = true;
  if (count == "*" || count == "?") may_be_none = true;
  if (take(U"?")) return count + '?';
  if (take(U"+")) return count + '+';
  return count;
}

Translator::Piece Translator::atom() {
  switch (const char32_t c = next()) {
    case U'^':
      return {"\\A", true, false};
    case U'$':
      return {"(?=\\n?\\z)", true, false};
    case U'.':
      return {"[^\\n]", false};
    case U'[':
      return {character_class(), false};
    case U'(':
      return group();
    case U'\\':
      return escape();
    case U'*':
    case U'+':
    case U'?':
      --at_;
      refuse("a repeat of nothing");
    default:
      return {escaped(c), false};
  }
}

Translator::Piece Translator::group() {
  std::string opening = "(?:";
  bool looks = false;
  if (peek() == U'?') {
    looks = true;
    if (take(U"?:")) {
      looks = false;
    } else if (take(U"?P<")) {
      while (next() != U'>') {
      }
      looks = false;
    } else if (take(U"?=")) {
      opening = "(?=";
    } else if (take(U"?!")) {
      opening = "(?!";
    } else if (take(U"?<=")) {
      opening = "(?<=";
    } else if (take(U"?<!")) {
      opening = "(?<!";
    } else if (take(U"?>")) {
      opening = "(?>";
      looks = false;
    } else {
      refuse("a group with flags, a condition, a comment or a back reference; write it without them");
    }
  }
  const Piece inside = alternatives();
  if (!take(U")")) refuse("a \"(\" that nothing closes");
  return {opening + inside.pattern + ')', looks || inside.may_be_empty};
}

Translator::Piece Translator::escape() {
  const auto boundary = [this](const char* form) {  // W stands for the class of word characters
    ++at_;
    static const std::string word = set_of(kWord).pattern();
    std::string pattern;
    for (const char* c = form; *c != '\0'; ++c) pattern += *c == 'W' ? word : std::string(1, *c);
    return Piece{pattern, true, false};
  };
  switch (peek()) {
    case U'A':
      ++at_;
      return {"\\A", true, false};
    case U'Z':
      ++at_;
      return {"\\z", true, false};
    case U'b':
      return boundary("(?:(?<=W)(?!W)|(?<!W)(?=W))");
    case U'B':  // never in an empty text
      return boundary("(?:(?<=W)(?=W)|(?!\\A\\z)(?<!W)(?!W))");
    default:
      break;
  }
  const Item item = escaped_item();
  return {item.set ? item.set->pattern() : escaped(item.character), false};
}

// What stands behind a backslash, in a class or outside.
Translator::Item Translator::escaped_item() {
  const char32_t c = next();
  switch (c) {
    case U'w':
      return {0, set_of(kWord)};
    case U'W':
      return {0, set_of(kWord).complement()};
    case U'd':
      return {0, set_of(kDecimal)};
    case U'D':
      return {0, set_of(kDecimal).complement()};
    case U's':
      return {0, set_of(kSpace)};
    case U'S':
      return {0, set_of(kSpace).complement()};
    case U'x':
      return {hexadecimal(2), std::nullopt};
    case U'u':
      return {hexadecimal(4), std::nullopt};
    case U'U':
      return {hexadecimal(8), std::nullopt};
    case U'a':
      return {U'\a', std::nullopt};
    case U'f':
      return {U'\f', std::nullopt};
    case U'n':
      return {U'\n', std::nullopt};
    case U'r':
      return {U'\r', std::nullopt};
    case U't':
      return {U'\t', std::nullopt};
    case U'v':
      return {U'\v', std::nullopt};
    default:
      if (is_digit(c)) refuse("a back reference or an octal number; write characters as \\x, \\u or \\U");
      if (is_letter(c)) refuse(std::string("the escape \\") + static_cast<char>(c) + " is not known");
      return {c, std::nullopt};
  }
}

char32_t Translator::hexadecimal(int digits) {
  char32_t value = 0;
  for (int i = 0; i < digits; ++i) {
    const char32_t c = next();
    const char32_t digit = is_digit(c)              ? c - U'0'
                           : c >= U'a' && c <= U'f' ? c - U'a' + 10
                           : c >= U'A' && c <= U'F' ? c - U'A' + 10
                                                    : kEnd;
    if (digit == kEnd) refuse("an escape of a code point with too few hexadecimal digits");
    value = value << 4 | digit;
  }
  if (value > 0x10FFFF) refuse("an escape beyond U+10FFFF");
  return value;
}

std::string Translator::character_class() {
  CharacterSet set;
  const bool negated = take(U"^");
  for (bool first = true; first || peek() != U']'; first = false) {
    const auto item = [&]() -> Item {
      const char32_t c = next();
      if (c != U'\\') return {c, std::nullopt};
      if (take(U"b")) return {U'\b', std::nullopt};
      return escaped_item();
    };
    const Item low = item();
    const bool range = peek() == U'-' && peek(1) != U']';
    if (!range) {
      if (low.set) {
        set.add(*low.set);
      } else {
        set.add(low.character, low.character);
      }
      continue;
    }
    next();
    const Item high = item();
    if (low.set || high.set || high.character < low.character) refuse("a range in a class from more to less");
    set.add(low.character, high.character);
  }
  next();
  return (negated ? set.complement() : set).pattern();
}

}  // namespace

std::string pcre2_pattern(std::string_view python) { return Translator(python).translate(); }

}  // namespace aid::tokenizer::spacy
