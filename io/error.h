#pragma once

#include <stdexcept>

namespace aid::io {

// Something read or written is not as it has to be. The message names the file, the place in it, what was found, what
// was expected and, where there is something to do, what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A disk that is full or fails: what was asked for may well succeed another time.
class DiskError : public Error {
 public:
  using Error::Error;
};

}  // namespace aid::io
