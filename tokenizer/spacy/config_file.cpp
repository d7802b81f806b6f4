#include "tokenizer/spacy/config_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tokenizer/error.h"

namespace aid::tokenizer::spacy {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kBlanks = " \t\r\f\v";
constexpr int kMostVariables = 100;  // in one value

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

std::string dumped(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

ConfigFile::ConfigFile(std::string_view text, std::string file) : file_(std::move(file)) {
  const auto refuse_line = [this](int line, const std::string& problem) {
    throw Error(file_ + ": line " + std::to_string(line) + ": " + problem);
  };
  Section* section = nullptr;
  std::string* value = nullptr;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view whole = text.substr(0, end), line = trimmed(whole);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (value != nullptr && kBlanks.find(whole[0]) != std::string_view::npos) {  // the value goes on
      *value += '\n';
      *value += line;
    } else if (line[0] == '[') {
      const size_t close = line.rfind(']');
      if (close == std::string_view::npos) refuse_line(number, "a section without \"]\"");
      section = &sections_.try_emplace(std::string(line.substr(1, close - 1)), Section{number, {}}).first->second;
      value = nullptr;
    } else {
      const size_t sign = line.find_first_of("=:");
      if (section == nullptr || sign == std::string_view::npos) {
        refuse_line(number, "neither [section] nor key = value; take the file from the pipeline again");
      }
      value = &section->values[std::string(trimmed(line.substr(0, sign)))];
      *value = trimmed(line.substr(sign + 1));
    }
  }
}

void ConfigFile::refuse(const std::string& section, const std::string& problem) const {
  const auto found = sections_.find(section);
  const std::string line = found == sections_.end() ? "" : "line " + std::to_string(found->second.line) + ": ";
  throw Error(file_ + ": " + line + "[" + section + "] " + problem);
}

Json ConfigFile::value(const std::string& section, const std::string& key) const {
  int variables_left = kMostVariables;
  return value(section, key, variables_left);
}

Json ConfigFile::value(const std::string& section, const std::string& key, int& variables_left) const {
  const std::string block = section + "." + key;
  if (const auto found = sections_.find(section); found != sections_.end()) {
    const auto value = found->second.values.find(key);
    if (value != found->second.values.end()) return parse(section, key, value->second, variables_left);
  }
  Json object;
  const std::string below = block + ".";
  for (auto it = sections_.lower_bound(block); it != sections_.end() && it->first.starts_with(block); ++it) {
    const auto& [name, found] = *it;
    if (name != block && !name.starts_with(below)) continue;
    if (object.is_null()) object = Json::object();
    Json* at = &object;
    for (size_t begin = block.size() + 1; begin <= name.size();) {
      const size_t end = std::min(name.find('.', begin), name.size());
      at = &(*at)[name.substr(begin, end - begin)];
      if (!at->is_object()) *at = Json::object();
      begin = end + 1;
    }
    for (const auto& [inner, text] : found.values) (*at)[inner] = parse(name, inner, text, variables_left);
  }
  return object;
}

// The value of a text in which variables stand for others: within a string as the text that they hold.
Json ConfigFile::parse(const std::string& section, const std::string& key, const std::string& text,
                       int& variables_left) const {
  std::string filled;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "$$") == 0) {
      filled += text[++i];
    } else if (text.compare(i, 2, "${") == 0 && text.find('}', i) != std::string::npos) {
      const size_t end = text.find('}', i);
      const Json value = variable(section, key, text.substr(i + 2, end - i - 2), variables_left);
      const std::string inserted = dumped(value);
      filled += in_string && value.is_string() ? inserted.substr(1, inserted.size() - 2) : inserted;
      i = end;
    } else {
      if (text[i] == '"') in_string = !in_string;
      filled += text[i];
      if (in_string && text[i] == '\\' && i + 1 < text.size()) filled += text[++i];
    }
  }
  Json value = Json::parse(filled, nullptr, false);
  if (value.is_discarded()) refuse(section, key + " is " + text + "; expected JSON");
  return value;
}

Json ConfigFile::variable(const std::string& section, const std::string& key, std::string name,
                          int& variables_left) const {
  if (--variables_left < 0) {
    refuse(section, key + " stands for ${" + name + "}, which leads in a circle or to more variables than " +
                        std::to_string(kMostVariables));
  }
  std::replace(name.begin(), name.end(), ':', '.');
  const size_t dot = name.rfind('.');
  Json found = dot == std::string::npos ? Json() : value(name.substr(0, dot), name.substr(dot + 1), variables_left);
  if (found.is_null()) {
    const auto holder = dot == std::string::npos ? sections_.end() : sections_.find(name.substr(0, dot));
    if (holder == sections_.end() || !holder->second.values.contains(name.substr(dot + 1))) {
      refuse(section, key + " stands for ${" + name + "}, which is not there");
    }
  }
  return found;
}

}  // namespace aid::tokenizer::spacy
