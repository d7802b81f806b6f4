#pragma once

#include <iosfwd>
#include <string>

namespace aid::io {

// Reads lines {"text": "...", ...}; other keys and blank lines are passed over.
class JsonlTextReader {
 public:
  // name: what to call the input in errors.
  JsonlTextReader(std::istream& in, std::string name) : in_(in), name_(std::move(name)) {}

  // False at the end of the input. Throws Error naming the line and column.
  bool next(std::string& text);
  int line() const { return line_; }  // of the last text read, from 1

 private:
  std::istream& in_;
  std::string name_;
  std::string buffer_;
  int line_ = 0;
};

}  // namespace aid::io
