#include "io/text.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "io/error.h"

namespace aid::io {
namespace {

constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";
constexpr char32_t kReplacement = 0xfffd;

// Windows-1252 0x80 to 0x9f (the Encoding Standard's index); the five bytes it leaves open stay C1 control characters.
constexpr std::array<char16_t, 32> kWindows1252 = {0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                                   0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008d, 0x017d, 0x008f,
                                                   0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                                   0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178};

void append_utf8(std::string& out, char32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      out += static_cast<char>(0xe0 | code >> 12);
    } else {
      out += static_cast<char>(0xf0 | code >> 18);
      out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    }
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
  }
  out += static_cast<char>(0x80 | (code & 0x3f));
}

// Length of the well-formed sequence that begins here, 0 if none does: the second byte's range depends on the first, so
// that overlong forms, surrogates and codes past U+10FFFF have none.
std::size_t sequence_length(const unsigned char* at, std::size_t left) {
  const unsigned char first = at[0];
  if (first < 0x80) return 1;
  const auto continues = [&](std::size_t i) { return i < left && (at[i] & 0xc0) == 0x80; };
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!continues(1) || !continues(2) || (first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f)) return 0;
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    return (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f) ? 0 : 4;
  }
  return 0;
}

// UTF-8 with each byte that belongs to no well-formed sequence replaced; nothing where those bytes are not outnumbered
// by the multi-byte sequences.
bool repair_utf8(std::string_view text, std::string& repaired) {
  std::size_t sequences = 0;
  std::size_t broken = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length =
        sequence_length(reinterpret_cast<const unsigned char*>(text.data()) + i, text.size() - i);
    sequences += length > 1;
    if (length == 0) {
      ++broken;
      append_utf8(repaired, kReplacement);
      ++i;
    } else {
      repaired.append(text, i, length);
      i += length;
    }
  }
  return sequences > broken;
}

std::string utf16_to_utf8(std::string_view bytes, bool big_endian) {
  std::string out;
  const auto unit = [&](std::size_t i) -> char32_t {
    const auto low = static_cast<unsigned char>(bytes[i + (big_endian ? 1 : 0)]);
    const auto high = static_cast<unsigned char>(bytes[i + (big_endian ? 0 : 1)]);
    return static_cast<char32_t>(high << 8 | low);
  };
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    char32_t code = unit(i);
    if (code >= 0xd800 && code <= 0xdfff) {
      const char32_t next = code < 0xdc00 && i + 3 < bytes.size() ? unit(i + 2) : 0;
      if (next >= 0xdc00 && next <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00);
        i += 2;
      } else {
        code = kReplacement;
      }
    }
    append_utf8(out, code);
  }
  if (bytes.size() % 2 != 0) append_utf8(out, kReplacement);
  return out;
}

std::string windows_1252_to_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 8);
  for (const char byte : bytes) {
    const auto code = static_cast<unsigned char>(byte);
    append_utf8(out, code >= 0x80 && code < 0xa0 ? kWindows1252[code - 0x80U] : code);
  }
  return out;
}

// Bytes that are, or with 0xc2 may begin, a control character: C0 and DEL but for white space, and C1.
constexpr std::array<bool, 256> kMayBeControl = [] {
  std::array<bool, 256> table{};
  for (std::size_t byte = 0; byte < 0x20; ++byte) table[byte] = byte < '\t' || byte > '\r';
  table[0x7f] = table[0xc2] = true;
  return table;
}();

// Refuses NULs and too many control characters.
void check_is_text(std::string_view utf8) {
  constexpr std::size_t kBytesPerControl = 32;
  std::size_t controls = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    if (!kMayBeControl[byte] || (byte == 0xc2 && static_cast<unsigned char>(utf8[i + 1]) >= 0xa0)) continue;
    if (byte == 0) {
      throw Error("not a text: the byte " + std::to_string(i) +
                  " is NUL (a binary file, or UTF-16 without its mark: convert it to UTF-8)");
    }
    if (controls++ == 0) first = i;
  }
  if (controls * kBytesPerControl > utf8.size()) {
    throw Error("not a text: " + std::to_string(controls) + " control characters in " + std::to_string(utf8.size()) +
                " bytes, the first at byte " + std::to_string(first) +
                "; expected a text in UTF-8, UTF-16 or Windows-1252");
  }
}

}  // namespace

std::string_view encoding_name(Encoding encoding) {
  switch (encoding) {
    case Encoding::utf8:
      return "UTF-8";
    case Encoding::utf8_bom:
      return "UTF-8 with byte order mark";
    case Encoding::utf8_repaired:
      return "damaged UTF-8, repaired";
    case Encoding::utf16:
      return "UTF-16";
    case Encoding::windows_1252:
      return "Windows-1252";
  }
  return "";
}

std::size_t valid_utf8_prefix(std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::size_t i = 0;
  while (i < text.size()) {
    std::uint64_t eight = kHighBits;
    if (text.size() - i >= sizeof eight) std::memcpy(&eight, bytes + i, sizeof eight);
    const std::uint64_t high = eight & kHighBits;
    if (high == 0) {
      i += sizeof eight;
      continue;
    }
    i += static_cast<std::size_t>(std::countr_zero(high)) / 8;  // to the first byte that is not ASCII
    const std::size_t length = sequence_length(bytes + i, text.size() - i);
    if (length == 0) return i;
    i += length;
  }
  return i;
}

Text decode_text(std::string bytes) {
  Text text;
  if (valid_utf8_prefix(bytes) == bytes.size()) {
    if (bytes.starts_with(kUtf8Mark)) {
      bytes.erase(0, kUtf8Mark.size());
      text.encoding = Encoding::utf8_bom;
    }
    text.utf8 = std::move(bytes);
  } else if (const bool big_endian = bytes.starts_with("\xfe\xff"); big_endian || bytes.starts_with("\xff\xfe")) {
    text = {utf16_to_utf8(std::string_view(bytes).substr(2), big_endian), Encoding::utf16};
  } else if (std::string repaired; repair_utf8(bytes, repaired)) {
    if (repaired.starts_with(kUtf8Mark)) repaired.erase(0, kUtf8Mark.size());
    text = {std::move(repaired), Encoding::utf8_repaired};
  } else {
    text = {windows_1252_to_utf8(bytes), Encoding::windows_1252};
  }
  check_is_text(text.utf8);
  return text;
}

bool is_blank(std::string_view utf8) {
  for (std::size_t i = 0; i < utf8.size();) {
    const auto first = static_cast<unsigned char>(utf8[i]);
    if (first == ' ' || (first >= '\t' && first <= '\r')) {
      ++i;
      continue;
    }
    constexpr std::string_view kBlanks[] = {"\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
                                            "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
                                            "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\ufeff"};
    std::size_t length = 0;
    for (const std::string_view blank : kBlanks) {
      if (utf8.substr(i).starts_with(blank)) length = blank.size();
    }
    if (length == 0) return false;
    i += length;
  }
  return true;
}

}  // namespace aid::io
