#include <sstream>

#include "io/csv.h"
#include "io/jsonl.h"
#include "tests/io/test_files.h"

namespace aid::io {
namespace {

using test::contains;
using test::error_of;

TEST(Jsonl, ReadsTexts) {
  std::istringstream in(
      "{\"text\": \"a\\nb ñ \\u00f1\"}\n\n  \n{\"id\": 7, \"text\": \"\", \"x\": [1]}\r\n{\"text\":\"last\"}");
  JsonlTextReader reader(in, "in.jsonl");
  std::string text;
  ASSERT_TRUE(reader.next(text));
  EXPECT_EQ(text, "a\nb ñ ñ");
  EXPECT_EQ(reader.line(), 1);
  ASSERT_TRUE(reader.next(text));
  EXPECT_EQ(text, "");
  EXPECT_EQ(reader.line(), 4);
  ASSERT_TRUE(reader.next(text));
  EXPECT_EQ(text, "last");
  EXPECT_FALSE(reader.next(text));
}

TEST(Jsonl, NamesTheLineAndColumn) {
  const auto error_in = [](const std::string& line) {
    std::istringstream in("{\"text\": \"good\"}\n" + line + "\n");
    JsonlTextReader reader(in, "in.jsonl");
    std::string text;
    reader.next(text);
    return error_of([&] { reader.next(text); });
  };
  EXPECT_TRUE(contains(error_in("{\"text\": \"a\" 1}"), "in.jsonl:2:14: not valid JSON: "));
  EXPECT_TRUE(contains(error_in("{\"text\": \"a"), "in.jsonl:2:"));
  EXPECT_TRUE(contains(error_in("{\"text\": \"\xff\"}"), "in.jsonl:2:"));
  EXPECT_TRUE(contains(error_in("[1]"), "in.jsonl:2: a JSON array; expected an object {\"text\": ...}"));
  EXPECT_TRUE(contains(error_in("{}"), "in.jsonl:2: an object without \"text\""));
  EXPECT_TRUE(contains(error_in("{\"text\": 1}"), "in.jsonl:2: \"text\" is a JSON number; expected a string"));
  EXPECT_EQ(error_in("{\"text\": \"a\", \"x\": [1, 1e1000]}"),
            "in.jsonl:2:24: the number 1e1000 is beyond what a double holds");
}

TEST(Csv, QuotesAsRfc4180) {
  std::string out;
  append_csv_record(out, std::vector<std::string>{"a", "", "b c", "1,5", "say \"x\"", "two\nlines", "cr\r"});
  append_csv_record(out, std::vector<std::string>{"ñ"});
  EXPECT_EQ(out, "a,,b c,\"1,5\",\"say \"\"x\"\"\",\"two\nlines\",\"cr\r\"\nñ\n");
}

}  // namespace
}  // namespace aid::io
