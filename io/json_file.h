// Internal: JSON with errors that name the place. The public headers of io/ do not know nlohmann.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace aid::io {

// JSON lets an object repeat a key and takes the last; where two readers could disagree about which, it is refused.
enum class RepeatedKeys { last_wins, refused };

struct JsonOptions {
  RepeatedKeys repeated_keys = RepeatedKeys::last_wins;
  int first_line = 1;  // the number of the text's first line in errors
};

// `name` is what errors call the text: "NAME:LINE:COLUMN: ...". Throws Error.
nlohmann::json parse_json(std::string_view text, const std::string& name, const JsonOptions& options = {});
nlohmann::json parse_json_file(const std::filesystem::path& path);

}  // namespace aid::io
