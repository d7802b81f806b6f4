// Aligning text in columns of a terminal.
#pragma once

#include <string>

namespace aid::train {

// Columns that a text takes: its code points, which is right for the Latin scripts that labels are written in.
inline size_t width_of(const std::string& utf8) {
  size_t width = 0;
  for (const char c : utf8) width += (c & 0xC0) != 0x80 ? 1 : 0;
  return width;
}

inline std::string padding(const std::string& text, size_t width) {
  const size_t taken = width_of(text);
  return std::string(width > taken ? width - taken : 0, ' ');
}
inline std::string left_aligned(const std::string& text, size_t width) { return text + padding(text, width); }
inline std::string right_aligned(const std::string& text, size_t width) { return padding(text, width) + text; }

}  // namespace aid::train
