#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace aid::tokenizer::spacy {

/// A pipeline's config.cfg: the format of Python's configparser, values being JSON in which ${section.key} stands for
/// another value (confection's _config.py). A value is read when it is asked for: what nobody asks for may be anything.
class ConfigFile {
 public:
  /// Throws Error, naming the line, where there is neither a section nor a key. `file`: its name in errors.
  ConfigFile(std::string_view text, std::string file);

  bool has(std::string_view section) const { return sections_.contains(section); }
  /// A key's value, variables filled in; or the section SECTION.KEY as an object, with those below it. Null where there
  /// is neither. Throws Error for what is no JSON and for variables that lead nowhere or in a circle.
  nlohmann::json value(const std::string& section, const std::string& key) const;

  /// Throws Error, naming the file, the section's line and the section. `problem` goes on from there.
  [[noreturn]] void refuse(const std::string& section, const std::string& problem) const;
  const std::string& name() const { return file_; }

 private:
  struct Section {
    int line;  // from 1
    std::map<std::string, std::string, std::less<>> values;
  };

  // variables_left: how many may still be filled in, which ends circles.
  nlohmann::json value(const std::string& section, const std::string& key, int& variables_left) const;
  nlohmann::json parse(const std::string& section, const std::string& key, const std::string& text,
                       int& variables_left) const;
  nlohmann::json variable(const std::string& section, const std::string& key, std::string name,
                          int& variables_left) const;

  std::string file_;
  std::map<std::string, Section, std::less<>> sections_;
};

}  // namespace aid::tokenizer::spacy
