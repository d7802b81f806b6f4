#pragma once

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tokenizer/error.h"

namespace aid::tokenizer {

/// All bytes of a file. Throws Error.
inline std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (!stream) throw Error(file.string() + ": cannot be read (" + std::strerror(errno) + ")");
  return bytes;
}

}  // namespace aid::tokenizer
