#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <gtest/gtest.h>

/// A directory of the test's own, removed with it. One that needs several at a time gives each a name.
class ModelDir {
 public:
  explicit ModelDir(const std::string& name = "") {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::temp_directory_path() /
            ("aid_" + std::string(test->test_suite_name()) + "_" + test->name() + name);
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~ModelDir() { std::filesystem::remove_all(path_); }
  ModelDir(const ModelDir&) = delete;
  ModelDir& operator=(const ModelDir&) = delete;

  ModelDir& write(const std::string& file, const std::string& text) {
    std::ofstream(path_ / file, std::ios::binary) << text;
    return *this;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string read_whole(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  EXPECT_TRUE(stream) << file;
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The values of a file of JSON lines.
inline std::vector<nlohmann::json> lines_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::json::parse(line));
  EXPECT_FALSE(lines.empty()) << file;
  return lines;
}

inline std::filesystem::path golden(const std::string& file) {
  return std::filesystem::path(AID_SOURCE_DIR) / "tests/golden/tokenizer" / file;
}
