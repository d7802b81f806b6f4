#include "train/model/versions.h"

#include <link.h>
#include <openssl/crypto.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <utf8proc.h>
#include <zip.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/matrix/linear.h"

namespace aid::train {
namespace {

// The file of a loaded library, links followed: "libzip.so" -> "/usr/lib/x86_64-linux-gnu/libzip.so.5.5".
std::string file_of(const char* name) {
  struct Search {
    const char* name;
    std::string file;
  } search{name, ""};
  dl_iterate_phdr(
      [](dl_phdr_info* library, size_t, void* data) {
        auto& [wanted, file] = *static_cast<Search*>(data);
        const char* slash = std::strrchr(library->dlpi_name, '/');
        if (slash == nullptr || std::strncmp(slash + 1, wanted, std::strlen(wanted)) != 0) return 0;
        file = library->dlpi_name;
        return 1;
      },
      &search);
  std::error_code error;
  const auto followed = std::filesystem::canonical(search.file, error);
  return error ? search.file : followed.string();
}

std::string version(int major, int minor, int patch) {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

// "10.42", of "10.42 2022-12-11".
std::string pcre2_version() {
  char text[64] = {};
  pcre2_config(PCRE2_CONFIG_VERSION, text);
  const std::string_view whole = text;
  return std::string(whole.substr(0, whole.find(' ')));
}

}  // namespace

std::string program_version() { return AID_VERSION; }

std::vector<Library> libraries() {
  return {
      {"oneDNN", matrix_library_version(), file_of("libdnnl.so")},
      {"OpenMP", std::to_string(_OPENMP), file_of("libgomp.so")},
      {"OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING), file_of("libcrypto.so")},
      {"libzip", zip_libzip_version(), file_of("libzip.so")},
      {"utf8proc", utf8proc_version(), file_of("libutf8proc.so")},
      {"PCRE2", pcre2_version(), file_of("libpcre2-8.so")},
      {"nlohmann/json", version(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH),
       ""},
  };
}

}  // namespace aid::train
