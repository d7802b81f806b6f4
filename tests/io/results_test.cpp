#include "io/results/results.h"

#include <random>

#include "io/gzip.h"
#include "io/results/csv_reader.h"
#include "tests/io/test_files.h"

namespace aid::io {
namespace {

using test::contains;
using test::error_of;
using Values = std::map<std::string, std::string, std::less<>>;

// printf 'hello\n' | gzip -n, twice: two members.
const std::string kMember("\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\xe7\x02\0\x20\x30\x3a\x36\x06\0\0\0", 26);

std::vector<Values> rows_of(const std::string& text) {
  std::vector<Values> rows;
  for (const ResultRow& row : parse_results(text, "in").rows) rows.push_back(row.values);
  return rows;
}

std::vector<std::vector<std::string>> cells_of(const std::string& text, char delimiter = ',') {
  std::vector<std::vector<std::string>> cells;
  for (const CsvRecord& record : parse_csv(text, delimiter, "in.csv")) cells.push_back(record.cells);
  return cells;
}

TEST(CsvReader, ReadsRfc4180) {
  using Cells = std::vector<std::vector<std::string>>;
  EXPECT_EQ(cells_of("a,b\n1,2\n"), (Cells{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(cells_of("a,b\r\n1,2"), (Cells{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(cells_of("\"a \"\"x\"\"\",\"two\nlines\",\"\"\n"), (Cells{{"a \"x\"", "two\nlines", ""}}));
  EXPECT_EQ(cells_of("\n\na,\n\n,b\n,\n"), (Cells{{"a", ""}, {"", "b"}, {"", ""}}));
  EXPECT_EQ(cells_of("5\" nail,\"\"\n"), (Cells{{"5\" nail", ""}}));
  EXPECT_EQ(cells_of(""), Cells{});
  EXPECT_EQ(cells_of("\"\""), Cells{{""}});
}

TEST(CsvReader, ErrorsNameTheLine) {
  EXPECT_TRUE(contains(error_of([] { cells_of("a\n\"x\ny\n"); }), "in.csv:2: a quoted cell that begins here"));
  EXPECT_TRUE(contains(error_of([] { cells_of("a\n\"x\ny\"z\n"); }), "in.csv:3: 'z' after a closing quote"));
}

TEST(CsvReader, LinesOfRecordsCountLinesInsideCells) {
  const auto records = parse_csv("h\n\"a\nb\r\nc\"\n\nd\n", ',', "in.csv");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[1].line, 2);
  EXPECT_EQ(records[2].line, 6);
}

// What is written comes back, whatever the cells hold and however lines end.
TEST(CsvReader, ReadsWhatAnyWriterQuotes) {
  std::mt19937 random(1);
  const std::string letters = "a,\"\n\r;\t x";
  for (int round = 0; round < 2000; ++round) {
    const char delimiter = ",;\t"[random() % 3];
    const std::string end = std::vector<std::string>{"\n", "\r\n", "\r"}[random() % 3];
    const size_t width = 1 + random() % 4;
    std::vector<std::vector<std::string>> expected;
    std::string text;
    for (size_t record = 0; record < 1 + random() % 4; ++record) {
      expected.emplace_back();
      for (size_t c = 0; c < width; ++c) {
        std::string cell, quoted;
        for (size_t i = 0; i < random() % 6; ++i) cell += letters[random() % letters.size()];
        for (const char letter : cell) quoted += letter == '"' ? "\"\"" : std::string(1, letter);
        text += (c > 0 ? std::string(1, delimiter) : "") + "\"" + quoted + "\"";
        expected.back().push_back(cell);
      }
      text += end;
    }
    EXPECT_EQ(cells_of(text, delimiter), expected) << text;
  }
}

TEST(CsvReader, SniffsTheDelimiter) {
  EXPECT_EQ(sniff_delimiter("a;b;c\n1,2,3,4,5\n"), ';');
  EXPECT_EQ(sniff_delimiter("\"a;b;c\",d\n"), ',');
  EXPECT_EQ(sniff_delimiter("\n\na\tb\n"), '\t');
  EXPECT_EQ(sniff_delimiter("a\n1;2\n"), ',');
}

TEST(Gzip, JoinsMembersAndChecksThem) {
  EXPECT_EQ(gunzip(kMember + kMember, "in.gz"), "hello\nhello\n");
  for (size_t cut = 2; cut < kMember.size(); ++cut)
    EXPECT_TRUE(
        contains(error_of([&] { gunzip(kMember.substr(0, cut), "in.gz"); }), "in.gz: the gzip data ends early"));
  std::string damaged = kMember;
  damaged[12] ^= 1;
  EXPECT_TRUE(contains(error_of([&] { gunzip(damaged, "in.gz"); }), "in.gz: the gzip data is damaged"));
}

TEST(Results, OldConsole) {
  const std::string text =
      "\"id (S)\",\"clase (S)\",\"n (N)\",\"ok (BOOL)\",\"tags (SS)\",\"m (M)\",\"nada (NULL)\"\n"
      "\"a.pdf\",\"[no json\",\"0.50\",\"true\",\"{ \"\"x\"\", \"\"y, z\"\" } \",\"{\"\"k\"\" : {\"\"S\"\" : "
      "\"\"v\"\"}}\",\"true\"\n"
      "\"b.pdf\",\"acta\",,,,,\n";
  EXPECT_EQ(rows_of(text), (std::vector<Values>{{{"id", "a.pdf"},
                                                 {"clase", "[no json"},
                                                 {"n", "0.50"},
                                                 {"ok", "true"},
                                                 {"tags[0]", "x"},
                                                 {"tags[1]", "y, z"},
                                                 {"m.k", "v"}},
                                                {{"id", "b.pdf"}, {"clase", "acta"}}}));
  EXPECT_EQ(parse_results(text, "in").format, "CSV (DynamoDB console with types)");
}

TEST(Results, NewConsole) {
  const std::string text =
      "\xef\xbb\xbf\"PK\",\"pages\",\"resultado\",\"set\",\"broken\"\r\n"
      "\"LEVEL#a\",\"[{\"\"M\"\":{\"\"label\"\":{\"\"S\"\":\"\"acta\"\"},\"\"p\"\":{\"\"N\"\":0.5}}}]\","
      "\"{\"\"clase\"\":{\"\"S\"\":\"\"ley\"\"},\"\"x\"\":{\"\"NULL\"\":true}}\",\"[\"\"a\"\",\"\"b\"\"]\",\"{"
      "oops\"\r\n";
  EXPECT_EQ(rows_of(text), (std::vector<Values>{{{"PK", "LEVEL#a"},
                                                 {"pages[0].label", "acta"},
                                                 {"pages[0].p", "0.5"},
                                                 {"resultado.clase", "ley"},
                                                 {"set[0]", "a"},
                                                 {"set[1]", "b"},
                                                 {"broken", "{oops"}}}));
}

TEST(Results, ExcelSavesItAgain) {
  EXPECT_EQ(rows_of("archivo;clase\na.pdf;resoluci\xf3n\n"),
            (std::vector<Values>{{{"archivo", "a.pdf"}, {"clase", "resolución"}}}));
}

TEST(Results, JsonInEveryShape) {
  const Values expected{{"id", "a"}, {"n", "3.10"}, {"m.k[0]", "x"}, {"b", "true"}};
  const std::string item =
      R"({"id":{"S":"a"},"n":{"N":"3.10"},"m":{"M":{"k":{"SS":["x"]}}},"b":{"BOOL":true},"z":{"NULL":true}})";
  for (const std::string& text : {"{\"Items\": [" + item + "],\n \"Count\": 1}", "{\"Items\":[" + item + "]}\n",
                                  "{\"Item\":" + item + "}\n", item + "\n\n", "[" + item + "]"}) {
    EXPECT_EQ(rows_of(text), std::vector<Values>{expected}) << text;
  }
  EXPECT_EQ(
      rows_of("{\"file\":\"a\",\"score\":0.25,\"scores\":{\"S\":0.25,\"ley\":0.75},\"x\":null}\n{\"file\":\"b\"}\n"),
      (std::vector<Values>{{{"file", "a"}, {"score", "0.25"}, {"scores.S", "0.25"}, {"scores.ley", "0.75"}},
                           {{"file", "b"}}}));
}

TEST(Results, APartialScanIsTold) {
  EXPECT_EQ(parse_results("{\"Items\":[],\"LastEvaluatedKey\":{\"id\":{\"S\":\"a\"}}}", "in").notes.size(), 1u);
}

TEST(Results, ErrorsNameTheFileAndLine) {
  const auto error_in = [](const std::string& text) { return error_of([&] { parse_results(text, "in"); }); };
  EXPECT_TRUE(contains(error_in(""), "in: empty"));
  EXPECT_TRUE(contains(error_in("a,b\n1\n"), "in:2: 1 cells; expected 2 as in the header"));
  EXPECT_TRUE(contains(error_in("a,b\n1,2,3\n"), "in:2: 3 cells; expected 2"));
  EXPECT_TRUE(contains(error_in("a (S),a (N)\n"), "in:1: two columns are called 'a'"));
  EXPECT_TRUE(contains(error_in("{\"a\":1}\n{\"a\":\n"), "in:2:"));
  EXPECT_TRUE(contains(error_in("{\"a\":1}\n[1]\n"), "in:2: a JSON array; expected an object"));
  EXPECT_TRUE(contains(error_in("{\n\"a\": 1\n}"), "without \"Items\""));
  EXPECT_TRUE(contains(error_in(std::string("\x7f"
                                            "ELF\0\0\0",
                                            7)),
                       "in: neither CSV nor JSON nor gzip"));
  EXPECT_TRUE(contains(error_in("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"), "nested deeper"));
}

// Whatever bytes come, they are read or refused with the file's name: no crash, nothing else thrown.
TEST(Results, AnyBytesAreReadOrRefused) {
  const std::vector<std::string> seeds{"\"id (S)\",\"t (SS)\"\n\"a\",\"{ \"\"b\"\" } \"\n", "a;b\n1;\"x\ny\"\n",
                                       "{\"Items\":[{\"a\":{\"S\":\"x\"}}]}",
                                       "{\"Item\":{\"a\":{\"L\":[{\"N\":\"1\"}]}}}\n{\"Item\":{}}\n", kMember};
  std::mt19937 random(2);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = seeds[random() % seeds.size()];
    for (size_t change = 0; change < 1 + random() % 6; ++change) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.insert(at, 1, "\"{}[],:\n;\\"[random() % 10]);
          break;
        case 2:
          text.erase(at, 1 + random() % 4);
          break;
        default:
          text += text.substr(at);
      }
      if (text.empty()) text = "x";
    }
    const std::string error = error_of([&] { parse_results(text, "in"); });
    refused += error.empty() ? 0 : 1;
    EXPECT_TRUE(error.empty() || error.starts_with("in:")) << error;
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace aid::io
