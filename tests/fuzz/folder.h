// A folder for readers that take one.
#pragma once

#include <filesystem>
#include <fstream>
#include <string_view>

#include "tests/fuzz/fuzz.h"

namespace aid::fuzz {

// One for all runs, removed at the end.
inline const std::filesystem::path& folder() {
  static const struct Folder {
    Folder() {
      std::string name = (std::filesystem::temp_directory_path() / "aid_fuzz.XXXXXX").string();
      AID_FUZZ_CHECK(::mkdtemp(name.data()) != nullptr);
      path = name;
    }
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
    std::filesystem::path path;
  } made;
  return made.path;
}

inline void empty_folder() {
  for (const auto& entry : std::filesystem::directory_iterator(folder())) std::filesystem::remove_all(entry.path());
}

inline void put(const char* name, std::string_view bytes) { std::ofstream(folder() / name, std::ios::binary) << bytes; }

}  // namespace aid::fuzz
