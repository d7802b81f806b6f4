#pragma once

#include <stdexcept>

namespace aid::tokenizer {

/// A tokenizer that cannot be read or reproduced exactly, or an encoding that cannot be made as asked. The message
/// names the file and the part of it.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace aid::tokenizer
