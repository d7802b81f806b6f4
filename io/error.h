#pragma once

#include <stdexcept>

namespace aid::io {

// Something read or written is not as it has to be. The message names the file, the place in it, what was found, what
// was expected and, where there is something to do, what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace aid::io
