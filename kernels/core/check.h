// AID_CHECK: preconditions of the public kernel and layer functions. Always on: a wrong shape must never reach a
// kernel.
#pragma once

#include <sstream>
#include <stdexcept>

namespace aid {

// Throws std::invalid_argument("file:line: condition: details").
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& details);

namespace detail {
template <class... Parts>
std::string concatenate(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}
}  // namespace detail

}  // namespace aid

// AID_CHECK(x.cols() == w.cols(), "linear: x has ", x.cols(), " columns, weights take ", w.cols());
#define AID_CHECK(condition, ...) \
  ((condition) ? void() : ::aid::check_failed(__FILE__, __LINE__, #condition, ::aid::detail::concatenate(__VA_ARGS__)))
