#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace aid::io {

enum class Encoding {
  utf8,
  utf8_bom,
  utf8_repaired,  // UTF-8 with a few broken bytes (a text cut inside a letter), each replaced by U+FFFD
  utf16,          // with a byte order mark, either order; unpaired surrogates replaced by U+FFFD
  windows_1252,
};

std::string_view encoding_name(Encoding encoding);  // "UTF-8 with BOM"...

struct Text {
  std::string utf8;  // valid, without byte order mark
  Encoding encoding = Encoding::utf8;
};

// UTF-8 if it is valid; else UTF-16 if it begins with its mark; else Windows-1252, unless valid multi-byte UTF-8
// sequences outnumber the broken bytes (in Windows-1252 prose there are none). Refuses what is no text: any NUL, or
// more than one byte in 32 a control character other than white space. A few are let through: texts taken from PDFs
// hold them. Throws Error; its message says what was found at which byte, not which file: the caller knows that.
Text decode_text(std::string bytes);

// The number of leading bytes that are valid UTF-8 (Unicode 15, table 3-7): text.size() if all are.
std::size_t valid_utf8_prefix(std::string_view text);

// Nothing but Unicode white space, byte order marks and zero-width spaces.
bool is_blank(std::string_view utf8);

}  // namespace aid::io
