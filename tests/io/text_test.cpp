#include "io/text.h"

#include <vector>

#include "tests/io/test_files.h"

namespace aid::io {
namespace {

using test::contains;
using test::error_of;

Text decode(std::string_view bytes) { return decode_text(std::string(bytes)); }

TEST(Text, IsRecognised) {
  using namespace std::string_view_literals;
  struct Case {
    std::string_view bytes;
    std::string_view utf8;
    Encoding encoding;
  };
  const Case cases[] = {
      {"", "", Encoding::utf8},
      {"año", "año", Encoding::utf8},
      {"\xef\xbb\xbf"
       "año",
       "año", Encoding::utf8_bom},
      {"a\xf1o 5 \x80 \x93ley\x94", "año 5 € “ley”", Encoding::windows_1252},
      {"\xff\xfe"
       "a\0\xf1\0o\0"sv,
       "año", Encoding::utf16},
      {"\xfe\xff\0a\0\xf1\0o"sv, "año", Encoding::utf16},
      {"\xff\xfe\x3d\xd8\x00\xde"sv, "😀", Encoding::utf16},
      {"\xff\xfe\x3d\xd8"
       "a\0"sv,
       "\ufffd"
       "a",
       Encoding::utf16},
      {"\xff\xfe"
       "a\0b"sv,
       "a\ufffd", Encoding::utf16},
      {"dirección, resoluci\xc3", "dirección, resoluci\ufffd", Encoding::utf8_repaired},
      {"\xef\xbb\xbf"
       "dirección, año, resoluci\xc3",
       "dirección, año, resoluci\ufffd", Encoding::utf8_repaired},
      {"\f\t\r\n\v", "\f\t\r\n\v", Encoding::utf8},
      {"a form feed\f and a stray \x02 from a PDF are let through",
       "a form feed\f and a stray \x02 from a PDF are let through", Encoding::utf8},
  };
  for (const Case& c : cases) {
    const Text text = decode(c.bytes);
    EXPECT_EQ(text.utf8, c.utf8);
    EXPECT_EQ(encoding_name(text.encoding), encoding_name(c.encoding)) << c.utf8;
  }
}

TEST(Text, RefusesBinaryFiles) {
  EXPECT_TRUE(contains(error_of([] { decode(std::string("text\0", 5)); }), "the byte 4 is NUL"));
  EXPECT_TRUE(contains(error_of([] { decode("ab\x01\x02\x03 text"); }),
                       "3 control characters in 10 bytes, the first at byte 2"));
  EXPECT_TRUE(
      contains(error_of([] { decode("\xf1\x81\x8d\x8f\x90"); }), "4 control characters"));  // open in Windows-1252
  EXPECT_TRUE(contains(error_of([] { decode(std::string("\xff\xfe\0\0a\0\0\0", 8)); }), "is NUL"));  // UTF-32
}

// Every code point's own sequence is valid; every other sequence of up to three bytes, and of four where the first is
// f0 to ff, is not. The reference is the definition: the set of all encodings (Unicode 15, table 3-7 follows from it).
TEST(Text, ValidatesUtf8Exactly) {
  const auto encode = [](std::uint32_t code) {
    std::string out;
    if (code < 0x80) return std::string(1, static_cast<char>(code));
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    constexpr unsigned kLead[] = {0, 0xc0, 0xe0, 0xf0};
    out += static_cast<char>(kLead[more] | code >> (6 * more));
    for (int i = more; i-- > 0;) out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3f));
    return out;
  };
  std::vector<bool> encoded[5];  // by length, then by the bytes as a number
  for (int length = 1; length <= 3; ++length) encoded[length].resize(std::size_t{1} << (8 * length));
  encoded[4].resize(std::size_t{1} << 28);  // of those whose first byte is f.
  for (std::uint32_t code = 0; code <= 0x10ffff; ++code) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const std::string bytes = encode(code);
    ASSERT_EQ(valid_utf8_prefix(bytes), bytes.size()) << code;
    std::size_t number = 0;
    for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
    encoded[bytes.size()][bytes.size() == 4 ? number & 0xfffffff : number] = true;
  }
  for (int length = 1; length <= 4; ++length) {
    const std::size_t step = length == 4 ? 13 : 1;  // 2^28 sequences are more than a test has time for
    for (std::size_t number = 0; number < encoded[length].size(); number += step) {
      char bytes[4];
      const std::size_t value = length == 4 ? number | 0xf0000000 : number;
      for (int i = 0; i < length; ++i) bytes[i] = static_cast<char>(value >> (8 * (length - 1 - i)));
      const std::string_view text(bytes, static_cast<std::size_t>(length));
      // A sequence that begins with a shorter valid one is not one sequence: left to the shorter lengths.
      const std::size_t valid = valid_utf8_prefix(text);
      if (encoded[length][number]) {
        ASSERT_EQ(valid, text.size());
      } else if (valid == text.size()) {
        ASSERT_LT(static_cast<unsigned char>(bytes[0]), length == 2 ? 0x80 : 0xf0) << number;
        ASSERT_TRUE(static_cast<unsigned char>(bytes[0]) < 0x80 || length == 3) << number;
      }
    }
  }
}

// Broken bytes at every place around the eight-byte steps.
TEST(Text, FindsTheFirstBrokenByte) {
  for (std::size_t size = 1; size < 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text[at] = '\x80';
      EXPECT_EQ(valid_utf8_prefix(text), at);
      text[at] = '\xc3';
      EXPECT_EQ(valid_utf8_prefix(text), at);
      if (at + 1 < size) {
        text[at + 1] = '\xb1';
        EXPECT_EQ(valid_utf8_prefix(text), size);
      }
    }
  }
}

TEST(Text, KnowsBlanks) {
  EXPECT_TRUE(is_blank(""));
  EXPECT_TRUE(is_blank(" \t\r\n\f\v\u00a0\u2003\u3000\ufeff\u200b"));
  EXPECT_FALSE(is_blank(" . "));
  EXPECT_FALSE(is_blank("ñ"));
}

}  // namespace
}  // namespace aid::io
