#include "io/aws/uri.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "io/error.h"

namespace aid::io::aws {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string percent_encode(std::string_view text, Slash slash) {
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && slash == Slash::kept)) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += "0123456789ABCDEF"[static_cast<unsigned char>(c) >> 4];
      encoded += "0123456789ABCDEF"[static_cast<unsigned char>(c) & 15];
    }
  }
  return encoded;
}

std::optional<std::string> percent_decode(std::string_view text, Plus plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus == Plus::space) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      if (i + 2 >= text.size() || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) return std::nullopt;
      decoded += static_cast<char>(16 * hex_digit(text[i + 1]) + hex_digit(text[i + 2]));
      i += 2;
    }
  }
  return decoded;
}

std::string normalise_path(std::string_view path) {
  std::vector<std::string_view> kept;
  bool ends_in_slash = false;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view segment = path.substr(start, end - start);
    ends_in_slash = segment.empty() || segment == "." || segment == "..";
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!ends_in_slash) {
      kept.push_back(segment);
    }
    start = end + 1;
  }
  std::string normal;
  for (const std::string_view segment : kept) (normal += '/') += segment;
  if (ends_in_slash || normal.empty()) normal += '/';
  return normal;
}

std::string encode_query(const Pairs& query) {
  std::string text;
  for (const auto& [key, value] : query) {
    if (!text.empty()) text += '&';
    ((text += percent_encode(key)) += '=') += percent_encode(value);
  }
  return text;
}

std::string Url::authority() const {
  const bool usual = port == 0 || port == (is_tls() ? 443 : 80);
  return usual ? host : host + ":" + std::to_string(port);
}

Url parse_url(std::string_view text) {
  const auto refuse = [&](const std::string& why) -> Error {
    return Error("'" + redacted(text) + "' is not an endpoint's URL: " + why +
                 "; expected http[s]://HOST[:PORT][/PATH]");
  };
  Url url;
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) throw refuse("it has no scheme");
  url.scheme = lower_case(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https") throw refuse("its scheme is not http or https");
  text.remove_prefix(colon + 3);
  if (text.find_first_of("?#") != std::string_view::npos) throw refuse("it has a query or a fragment");
  const std::size_t slash = std::min(text.find('/'), text.size());
  std::string_view authority = text.substr(0, slash);
  url.path = text.substr(slash);
  while (url.path.ends_with('/')) url.path.pop_back();
  if (authority.find('@') != std::string_view::npos) throw refuse("it has a user in it");
  const std::size_t port = authority.starts_with('[')
                               ? authority.find(':', std::min(authority.find(']'), authority.size()))
                               : authority.find(':');
  if (port != std::string_view::npos) {
    const std::string_view digits = authority.substr(port + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), url.port);
    if (error != std::errc() || end != digits.data() + digits.size() || url.port < 1 || url.port > 65535) {
      throw refuse("its port is not a number from 1 to 65535");
    }
    authority = authority.substr(0, port);
  }
  url.host = lower_case(authority);
  const bool bracketed = url.host.starts_with('[');
  if (bracketed ? !is_ip_address(url.host)
                : url.host.empty() || !std::all_of(url.host.begin(), url.host.end(), [](char c) {
                    return is_alphanumeric(c) || c == '-' || c == '.' || c == '_';
                  })) {
    throw refuse("its host is not a name or an address");
  }
  for (const char c : url.path) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') throw refuse("its path has a space or control character");
  }
  return url;
}

bool is_ip_address(std::string_view host) {
  unsigned char address[sizeof(in6_addr)];
  if (host.starts_with('[') && host.ends_with(']')) {
    return ::inet_pton(AF_INET6, std::string(host.substr(1, host.size() - 2)).c_str(), address) == 1;
  }
  return ::inet_pton(AF_INET, std::string(host).c_str(), address) == 1;
}

bool is_dns_label(std::string_view text) {
  return !text.empty() && text.size() <= 63 && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alphanumeric(c) || c == '-'; });
}

std::string redacted(std::string_view url) {
  std::string text(url.substr(0, url.find_first_of("?#")));
  const std::size_t start = text.find("://");
  const std::size_t host = start == std::string::npos ? 0 : start + 3;
  const std::size_t at = text.rfind('@', std::min(text.find('/', host), text.size()));
  if (at != std::string::npos && at >= host) text.erase(host, at + 1 - host);
  return text;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

const std::string* find_header(const Pairs& headers, std::string_view lower_case_name) {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return &value;
  }
  return nullptr;
}

}  // namespace aid::io::aws
