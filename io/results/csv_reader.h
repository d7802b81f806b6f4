#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace aid::io {

struct CsvRecord {
  int line = 0;  // on which it begins, from 1
  std::vector<std::string> cells;
};

// The one of , ; and tab that occurs most often outside quotes in the first record; the first of equals.
char sniff_delimiter(std::string_view text);

// RFC 4180: a quoted cell may hold delimiters, line ends and doubled quotes. Lines end in LF, CRLF or CR; empty lines
// between records are passed over; a quote inside an unquoted cell is a letter. `name` is what errors call the text.
// Throws Error naming the line for a quote that is never closed and for text between a closing quote and the delimiter.
std::vector<CsvRecord> parse_csv(std::string_view text, char delimiter, const std::string& name);

}  // namespace aid::io
