#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace aid::tokenizer {

constexpr char32_t kReplacementCharacter = 0xFFFD;

struct Utf8Char {
  char32_t code_point;
  uint32_t length;  // bytes
};

/// Reads one code point at `text` < `end`. Invalid UTF-8: each maximal bad sequence is one U+FFFD (Unicode,
/// section 3.9, "substitution of maximal subparts"; Python's errors="replace" does the same).
inline Utf8Char decode_utf8(const char* text, const char* end) {
  const auto lead = static_cast<uint8_t>(*text);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xC2 || lead > 0xF4) return {kReplacementCharacter, 1};
  const uint32_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code_point = lead & (0xFF >> (length + 1));
  // The second byte's range leaves out overlong forms, surrogates and what lies beyond U+10FFFF.
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (uint32_t i = 1; i < length; ++i) {
    if (text + i == end) return {kReplacementCharacter, i};
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte < low || byte > high) return {kReplacementCharacter, i};
    code_point = code_point << 6 | (byte & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {code_point, length};
}

/// Writes a scalar value, up to four bytes, and returns how many.
inline uint32_t write_utf8(char32_t code_point, char* text) {
  if (code_point < 0x80) {
    *text = static_cast<char>(code_point);
    return 1;
  }
  const uint32_t length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
  for (uint32_t i = length - 1; i > 0; --i) {
    text[i] = static_cast<char>(0x80 | (code_point & 0x3F));
    code_point >>= 6;
  }
  text[0] = static_cast<char>((0xF00 >> length & 0xFF) | code_point);
  return length;
}

/// Whether all of a text is valid.
inline bool is_utf8(std::string_view text) {
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    uint64_t eight = 0;
    if (end - at >= 8) std::memcpy(&eight, at, 8);
    if (end - at >= 8 && (eight & 0x8080808080808080) == 0) {  // ASCII
      at += 8;
      continue;
    }
    const auto [code_point, length] = decode_utf8(at, end);
    // A replacement character that is there has three bytes; one that stands for something else may have as many.
    if (code_point == kReplacementCharacter &&
        text.substr(static_cast<size_t>(at - text.data()), 3) != "\xEF\xBF\xBD") {
      return false;
    }
    at += length;
  }
  return true;
}

/// Code points of valid UTF-8.
inline size_t count_code_points(std::string_view text) {
  size_t count = 0;
  for (const char byte : text) count += (static_cast<uint8_t>(byte) & 0xC0) != 0x80;
  return count;
}

inline void append_utf8(std::string& text, char32_t code_point) {
  char bytes[4];
  text.append(bytes, write_utf8(code_point, bytes));
}

/// All code points of a text.
inline std::u32string decode_utf8(std::string_view text) {
  std::u32string code_points;
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    const auto [code_point, length] = decode_utf8(at, end);
    code_points += code_point;
    at += length;
  }
  return code_points;
}

}  // namespace aid::tokenizer
