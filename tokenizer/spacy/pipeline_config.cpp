#include "tokenizer/spacy/pipeline_config.h"

#include <map>
#include <nlohmann/json.hpp>

#include "tokenizer/error.h"
#include "tokenizer/spacy/lexeme.h"

namespace aid::tokenizer::spacy {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kBlanks = " \t\r\f\v";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

struct Section {
  int line;  // from 1
  std::map<std::string, std::string, std::less<>> values;
};
using Sections = std::map<std::string, Section, std::less<>>;

class ConfigReader {
 public:
  explicit ConfigReader(const std::string& file) : file_(file) {}

  [[noreturn]] void refuse(int line, const std::string& problem) const {
    throw Error(file_ + ": line " + std::to_string(line) + ": " + problem);
  }

  Sections read(std::string_view text) const;

 private:
  const std::string& file_;
};

Sections ConfigReader::read(std::string_view text) const {
  Sections sections;
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
      if (close == std::string_view::npos) refuse(number, "a section without \"]\"");
      section = &sections.try_emplace(std::string(line.substr(1, close - 1)), Section{number, {}}).first->second;
      value = nullptr;
    } else {
      const size_t sign = line.find_first_of("=:");
      if (section == nullptr || sign == std::string_view::npos) {
        refuse(number, "neither [section] nor key = value; take the file from the pipeline again");
      }
      value = &section->values[std::string(trimmed(line.substr(0, sign)))];
      *value = trimmed(line.substr(sign + 1));
    }
  }
  return sections;
}

}  // namespace

void check_tokenizer_is_spacys(std::string_view config, const std::string& file) {
  const ConfigReader reader(file);
  const Sections sections = reader.read(config);
  const auto nlp = sections.find("nlp");
  if (nlp == sections.end()) throw Error(file + ": has no section [nlp]; it is not a spaCy 3 pipeline's");
  const auto refuse = [&](const std::string& key, const std::string& problem) {
    reader.refuse(nlp->second.line, "[nlp] " + key + problem);
  };
  // A key's value, or the section of its name as an object.
  const auto value_of = [&](const std::string& key) -> Json {
    if (const auto block = sections.find("nlp." + key); block != sections.end()) {
      Json object = Json::object();
      for (const auto& [name, value] : block->second.values) object[name] = Json::parse(value, nullptr, false);
      return object;
    }
    const auto found = nlp->second.values.find(key);
    if (found == nlp->second.values.end()) return {};
    Json value = Json::parse(found->second, nullptr, false);
    if (value.is_discarded()) {
      refuse(key, " is " + found->second + "; expected JSON, with variables (${...}) filled in");
    }
    return value;
  };
  const auto shown = [](const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); };

  const Json tokenizer = value_of("tokenizer");
  if (tokenizer != Json{{"@tokenizers", "spacy.Tokenizer.v1"}}) {
    refuse("tokenizer", " is " + shown(tokenizer) +
                            "; only {\"@tokenizers\":\"spacy.Tokenizer.v1\"}, whose rules are all in the file "
                            "\"tokenizer\", can be reproduced");
  }
  const Json language = value_of("lang");
  if (!language.is_string() || !is_plain_language(language.get<std::string>())) {
    refuse("lang", " is " + shown(language) +
                       "; expected a language of spaCy's without code of its own in tokenizer or norms, as \"es\"");
  }
  for (const char* callback : {"before_creation", "after_creation", "after_pipeline_creation"}) {
    if (const Json value = value_of(callback); !value.is_null()) {
      refuse(callback, " is " + shown(value) +
                           ", Python code that may change the tokenizer; expected null: apply it in spaCy, save the "
                           "pipeline and take the key out");
    }
  }
}

}  // namespace aid::tokenizer::spacy
