#include "kernels/core/check.h"

namespace aid {

void check_failed(const char* file, int line, const char* condition, const std::string& details) {
  throw std::invalid_argument(detail::concatenate(file, ":", line, ": ", details, " (failed: ", condition, ")"));
}

}  // namespace aid
