#include "io/json_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "io/error.h"
#include "io/file.h"

namespace aid::io {
namespace {

// "NAME:LINE:COLUMN"; columns count bytes, from 1.
std::string place(std::string_view text, const std::string& name, int first_line, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + first_line;
  const std::size_t column = before.size() - (before.rfind('\n') + 1) + 1;
  return name + ":" + std::to_string(line) + ":" + std::to_string(column);
}

// nlohmann's "[json.exception.parse_error.101] parse error at line 1, column 2: REST" without what `place` says better.
std::string reason(const nlohmann::json::parse_error& error) {
  const std::string_view what = error.what();
  const std::size_t start = what.find(": ");
  return std::string(start == std::string_view::npos ? what : what.substr(start + 2));
}

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& name, const JsonOptions& options) {
  using nlohmann::json;
  std::vector<std::unordered_set<std::string>> open_objects;
  const json::parser_callback_t refuse_repeated = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == json::parse_event_t::object_end) open_objects.pop_back();
    if (event == json::parse_event_t::key && !open_objects.back().insert(value.get<std::string>()).second) {
      throw Error(name + ": the key \"" + value.get<std::string>() + "\" is there twice; expected each key once");
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(),
                       options.repeated_keys == RepeatedKeys::refused ? refuse_repeated : json::parser_callback_t());
  } catch (const json::parse_error& error) {
    throw Error(place(text, name, options.first_line, error.byte > 0 ? error.byte - 1 : 0) +
                ": not valid JSON: " + reason(error));
  } catch (const json::out_of_range& error) {
    // "[json.exception.out_of_range.406] number overflow parsing '1E1000'": the place is the number's.
    const std::string_view what = error.what();
    const std::size_t quote = what.find('\'');
    const std::string_view number = what.substr(quote + 1, what.rfind('\'') - quote - 1);
    throw Error(place(text, name, options.first_line, text.find(number)) + ": the number " + std::string(number) +
                " is beyond what a double holds");
  }
}

nlohmann::json parse_json_file(const std::filesystem::path& path) { return parse_json(read_text(path), path.string()); }

}  // namespace aid::io
