#include "io/results/csv_reader.h"

#include "io/error.h"

namespace aid::io {
namespace {

class CsvParser {
 public:
  CsvParser(char delimiter, const std::string& name) : delimiter_(delimiter), name_(name) {}

  std::vector<CsvRecord> parse(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      const bool line_end = c == '\n' || c == '\r';
      const bool crlf = c == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
      if (state_ == State::quoted) {
        // Line ends inside quotes belong to the cell as they are; CRLF counts as one line.
        if (c == '"') {
          state_ = State::quote_seen;
        } else {
          cell_ += c;
          if (line_end && !crlf) ++line_;
        }
      } else if (c == '"' && state_ == State::quote_seen) {
        cell_ += '"';
        state_ = State::quoted;
      } else if (c == delimiter_) {
        end_cell();
        state_ = State::cell_begin;
        record_open_ = true;
      } else if (line_end) {
        end_record();
        if (crlf) ++i;
        ++line_;
      } else if (state_ == State::quote_seen) {
        throw Error(
            name_ + ":" + std::to_string(line_) + ": '" + c +
            "' after a closing quote; expected the delimiter or the line's end (quotes inside a quoted cell are "
            "doubled)");
      } else if (c == '"' && state_ == State::cell_begin) {
        state_ = State::quoted;
        quote_line_ = line_;
        open_record();
      } else {
        state_ = State::plain;
        open_record();
        cell_ += c;
      }
    }
    if (state_ == State::quoted) {
      throw Error(name_ + ":" + std::to_string(quote_line_) +
                  ": a quoted cell that begins here is never closed; the file is cut off or a quote is not doubled");
    }
    end_record();
    return std::move(records_);
  }

 private:
  enum class State : unsigned char { cell_begin, plain, quoted, quote_seen };

  void open_record() {
    if (!record_open_ && current_.cells.empty()) current_.line = line_;
    record_open_ = true;
  }
  void end_cell() {
    if (current_.cells.empty() && !record_open_) current_.line = line_;
    current_.cells.push_back(std::move(cell_));
    cell_.clear();
  }
  void end_record() {
    if (record_open_) {
      end_cell();
      records_.push_back(std::move(current_));
      current_ = {};
    }
    record_open_ = false;
    state_ = State::cell_begin;
  }

  const char delimiter_;
  const std::string& name_;
  std::vector<CsvRecord> records_;
  CsvRecord current_;
  std::string cell_;
  State state_ = State::cell_begin;
  bool record_open_ = false;
  int line_ = 1, quote_line_ = 1;
};

}  // namespace

char sniff_delimiter(std::string_view text) {
  std::size_t commas = 0, semicolons = 0, tabs = 0;
  bool quoted = false, anything = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if ((c == '\n' || c == '\r') && anything) break;
    anything = anything || (c != '\n' && c != '\r');
    commas += c == ',' ? 1 : 0;
    semicolons += c == ';' ? 1 : 0;
    tabs += c == '\t' ? 1 : 0;
  }
  if (commas >= semicolons && commas >= tabs) return ',';
  return semicolons >= tabs ? ';' : '\t';
}

std::vector<CsvRecord> parse_csv(std::string_view text, char delimiter, const std::string& name) {
  return CsvParser(delimiter, name).parse(text);
}

}  // namespace aid::io
