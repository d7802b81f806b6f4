#pragma once

#include <span>
#include <string>
#include <string_view>

namespace aid::io {

// Appends a record to `out`: fields with a comma, a quote or a line end are quoted and their quotes doubled (RFC 4180);
// the record ends with "\n", as pandas writes it.
void append_csv_record(std::string& out, std::span<const std::string> fields);

}  // namespace aid::io
