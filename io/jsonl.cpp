#include "io/jsonl.h"

#include <istream>
#include <nlohmann/json.hpp>

#include "io/error.h"
#include "io/json_file.h"
#include "io/text.h"

namespace aid::io {

bool JsonlTextReader::next(std::string& text) {
  do {
    if (!std::getline(in_, buffer_)) {
      if (in_.bad()) throw Error(name_ + ": cannot be read after line " + std::to_string(line_));
      return false;
    }
    ++line_;
  } while (is_blank(buffer_));
  nlohmann::json value = parse_json(buffer_, name_, {.first_line = line_});
  const std::string where = name_ + ":" + std::to_string(line_) + ": ";
  if (!value.is_object()) throw Error(where + "a JSON " + value.type_name() + "; expected an object {\"text\": ...}");
  const auto found = value.find("text");
  if (found == value.end()) throw Error(where + "an object without \"text\"; expected {\"text\": ...}");
  if (!found->is_string()) throw Error(where + "\"text\" is a JSON " + found->type_name() + "; expected a string");
  text = std::move(found->get_ref<std::string&>());
  return true;
}

}  // namespace aid::io
