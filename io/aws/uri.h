// URLs as AWS signs them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aid::io::aws {

using Pairs = std::vector<std::pair<std::string, std::string>>;  // of a query, or headers in their order

enum class Slash { encoded, kept };
// RFC 3986's unreserved characters stay, every other byte becomes %XX in upper case; a space is %20.
std::string percent_encode(std::string_view text, Slash slash = Slash::encoded);

enum class Plus { literal, space };
// None where a % is not followed by two hex digits.
std::optional<std::string> percent_decode(std::string_view text, Plus plus = Plus::literal);

// RFC 3986's dot segments removed, repeated slashes made one.
std::string normalise_path(std::string_view path);

// "a=1&b=": encoded, in the order given.
std::string encode_query(const Pairs& query);

struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; an IPv6 address keeps its brackets
  int port = 0;        // 0: the scheme's
  std::string path;    // without a trailing slash; may be empty

  bool is_tls() const { return scheme == "https"; }
  std::string authority() const;  // host, and the port where it is not the scheme's
  std::string text() const { return scheme + "://" + authority() + path; }
};
// Throws Error for what is no http(s) URL, or has a user, a query or a fragment.
Url parse_url(std::string_view text);

bool is_ip_address(std::string_view host);  // IPv4, or IPv6 in brackets
bool is_dns_label(std::string_view text);   // letters, digits, hyphens; 1 to 63; hyphens only inside

// For messages: without user, query and fragment, where secrets live.
std::string redacted(std::string_view url);

std::string lower_case(std::string_view text);  // ASCII
std::string_view trimmed(std::string_view text);
// The value of a header (names in lower case), or null.
const std::string* find_header(const Pairs& headers, std::string_view lower_case_name);

}  // namespace aid::io::aws
