#pragma once

#include <cstdint>
#include <string_view>

#include "tokenizer/spacy/characters.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer::spacy {

/// A run of white space or of anything else; one space before the latter is part of neither.
struct Chunk {
  std::string_view text;
  uint32_t begin, end;  // code points
  bool space;           // whether such a space follows
};

/// Calls use(chunk) for each chunk of valid UTF-8, in order (spacy/tokenizer.pyx, _tokenize_affixes).
template <typename Use>
void for_each_chunk(std::string_view text, Use&& use) {
  // Bytes that white space may begin with; ASCII white space is told by itself.
  static constexpr auto kMaybeSpace = [] {
    struct Table {
      bool is[256] = {};
    } table;
    for (const int byte : {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x1F, 0x20, 0xC2, 0xE1, 0xE2, 0xE3}) {
      table.is[byte] = true;
    }
    return table;
  }();
  const char* const end_of_text = text.data() + text.size();
  const char* start = text.data();
  uint32_t first = 0, code_points = 0;
  bool in_space = false;
  for (const char* at = start; at < end_of_text;) {
    const auto byte = static_cast<uint8_t>(*at);
    uint32_t length = 1;
    bool space = false;
    if (kMaybeSpace.is[byte]) {
      space = true;
      if (byte >= 0x80) {
        const Utf8Char decoded = decode_utf8(at, end_of_text);
        length = decoded.length;
        space = (character(decoded.code_point).flags & kSpace) != 0;
      }
    } else if (byte >= 0x80) {
      length = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    }
    if (at == text.data()) in_space = space;
    if (space != in_space) {
      const bool absorbed = *at == ' ';
      if (start < at) {
        use(Chunk{{start, static_cast<size_t>(at - start)}, first, code_points, absorbed});
      }
      start = at + (absorbed ? 1 : 0);
      first = code_points + (absorbed ? 1 : 0);
      in_space = space;
    }
    at += length;
    ++code_points;
  }
  if (start < end_of_text) {
    use(Chunk{{start, static_cast<size_t>(end_of_text - start)}, first, code_points, false});
  }
}

}  // namespace aid::tokenizer::spacy
