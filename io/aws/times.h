#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace aid::io::aws {

// Milliseconds since 1970-01-01 UTC of "2013-05-24T00:00:00.000Z", or with "+01:00" or without a zone (UTC).
std::optional<std::int64_t> parse_iso_time(const std::string& text);
// Milliseconds since 1970-01-01 UTC of a header's "Fri, 24 May 2013 00:00:00 GMT".
std::optional<std::int64_t> parse_http_time(const std::string& text);

std::int64_t unix_now();  // seconds

}  // namespace aid::io::aws
