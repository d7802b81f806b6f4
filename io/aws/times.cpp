#include "io/aws/times.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <string_view>

namespace aid::io::aws {
namespace {

struct Parts {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

std::optional<std::int64_t> seconds_of(const Parts& parts) {
  using namespace std::chrono;
  const year_month_day date{year{parts.year}, month{static_cast<unsigned>(parts.month)},
                            day{static_cast<unsigned>(parts.day)}};
  if (!date.ok() || parts.hour < 0 || parts.hour > 23 || parts.minute < 0 || parts.minute > 59 || parts.second < 0 ||
      parts.second > 60) {
    return std::nullopt;
  }
  return std::int64_t{sys_days{date}.time_since_epoch().count()} * 86'400 + parts.hour * 3'600 + parts.minute * 60 +
         parts.second;
}

}  // namespace

std::optional<std::int64_t> parse_iso_time(const std::string& text) {
  Parts parts;
  int used = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &parts.year, &parts.month, &parts.day, &parts.hour,
                  &parts.minute, &parts.second, &used) != 6) {
    return std::nullopt;
  }
  const auto seconds = seconds_of(parts);
  if (!seconds) return std::nullopt;
  std::size_t at = static_cast<std::size_t>(used);
  std::int64_t milliseconds = 0, unit = 100;
  if (at < text.size() && text[at] == '.') {
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
      milliseconds += (text[at] - '0') * unit;
    }
  }
  const std::string zone = text.substr(at);
  int hours = 0, minutes = 0;
  char sign = '+';
  if (!zone.empty() && zone != "Z" && zone != "UTC" &&
      std::sscanf(zone.c_str(), "%c%2d:%2d", &sign, &hours, &minutes) != 3) {
    return std::nullopt;
  }
  const std::int64_t offset = (sign == '-' ? -1 : 1) * (hours * 3'600 + minutes * 60);
  return (*seconds - offset) * 1'000 + milliseconds;
}

std::optional<std::int64_t> parse_http_time(const std::string& text) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  Parts parts;
  char month[4] = "";
  if (std::sscanf(text.c_str(), "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &parts.day, month, &parts.year, &parts.hour,
                  &parts.minute, &parts.second) != 6) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < kMonths.size(); ++i) {
    if (kMonths[i] == month) parts.month = static_cast<int>(i) + 1;
  }
  const auto seconds = seconds_of(parts);
  return seconds ? std::optional(*seconds * 1'000) : std::nullopt;
}

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace aid::io::aws
