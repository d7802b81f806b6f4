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
      {"dirección, año, resoluci\xc3", "dirección, año, resoluci\ufffd", Encoding::utf8_repaired},
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

// Against the definition: text is valid as far as it can be cut into encodings of code points. All sequences of one to
// three bytes, and every 101st of four that begins with f0 to ff.
TEST(Text, ValidatesUtf8Exactly) {
  std::vector<bool> encodings[5];  // by length, then by the bytes as a number (of four bytes less the first one's f)
  for (int length = 1; length <= 3; ++length) encodings[length].resize(std::size_t{1} << (8 * length));
  encodings[4].resize(std::size_t{1} << 28);
  for (std::uint32_t code = 0; code <= 0x10ffff; ++code) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const int length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    constexpr std::size_t kFirst[] = {0, 0, 0xc0, 0xe0, 0xf0};
    std::size_t number = kFirst[length] | code >> (6 * (length - 1));
    for (int i = length - 1; i-- > 0;) number = number << 8 | 0x80 | (code >> (6 * i) & 0x3f);
    encodings[length][number & 0xfffffff] = true;
  }
  const auto valid_prefix = [&](std::string_view text) {
    std::size_t valid = 0;
    for (bool found = true; found && valid < text.size();) {
      found = false;
      std::size_t number = 0;
      for (std::size_t length = 1; !found && valid + length <= text.size(); ++length) {
        const auto byte = static_cast<unsigned char>(text[valid + length - 1]);
        number = number << 8 | byte;
        found = (length < 4 || number >> 28 == 0xf) && encodings[length][number & 0xfffffff];
        if (found) valid += length;
      }
    }
    return valid;
  };
  for (std::size_t length = 1; length <= 4; ++length) {
    for (std::size_t number = 0; number < encodings[length].size(); number += length == 4 ? 101 : 1) {
      char bytes[4];
      const std::size_t value = length == 4 ? number | 0xf0000000 : number;
      for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<char>(value >> (8 * (length - 1 - i)));
      const std::string_view text(bytes, length);
      ASSERT_EQ(valid_utf8_prefix(text), valid_prefix(text)) << std::hex << value;
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
