// A block of config.cfg with errors that name the file and the section.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "io/error.h"
#include "tokenizer/spacy/config_file.h"

namespace aid::train {

class ConfigBlock {
 public:
  // config lives as long.
  ConfigBlock(const tokenizer::spacy::ConfigFile& config, std::string section, nlohmann::json value)
      : config_(&config), section_(std::move(section)), value_(std::move(value)) {
    if (!value_.is_object()) refuse("is " + shown(value_) + "; expected a section");
  }

  [[noreturn]] void refuse(const std::string& problem) const {
    throw io::Error(config_->name() + ": [" + section_ + "] " + problem);
  }
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const {
    refuse(key + " is " + shown(at(key)) + "; expected " + expected);
  }

  std::string architecture() const { return text("@architectures"); }
  std::string text(const std::string& key) const {
    const nlohmann::json value = at(key);
    if (!value.is_string()) refuse(key, "a string");
    return value.get<std::string>();
  }
  int64_t integer(const std::string& key, int64_t least) const {
    constexpr int64_t kMost = int64_t{1} << 24;
    const nlohmann::json value = at(key);
    if (!value.is_number_integer() || value.get<double>() < static_cast<double>(least) ||
        value.get<double>() > static_cast<double>(kMost)) {
      refuse(key, "a whole number from " + std::to_string(least) + " to " + std::to_string(kMost));
    }
    return value.get<int64_t>();
  }
  bool flag(const std::string& key) const {
    const nlohmann::json value = at(key);
    if (!value.is_boolean()) refuse(key, "true or false");
    return value.get<bool>();
  }
  ConfigBlock block(const std::string& key) const { return {*config_, section_ + "." + key, at(key)}; }
  // Null where it is not there.
  nlohmann::json at(const std::string& key) const { return value_.value(key, nlohmann::json()); }

 private:
  static std::string shown(const nlohmann::json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  const tokenizer::spacy::ConfigFile* config_;
  std::string section_;
  nlohmann::json value_;
};

}  // namespace aid::train
