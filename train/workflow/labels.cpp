#include "train/workflow/labels.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "io/dataset.h"
#include "io/error.h"
#include "io/file.h"
#include "io/json_file.h"
#include "io/results/csv_reader.h"
#include "io/text.h"

namespace aid::train::workflow {
namespace {

using nlohmann::json;

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

const std::string& text_of(const json& value, const std::string& where) {
  if (!value.is_string()) throw io::Error(where + " is a JSON " + value.type_name() + "; expected a string");
  return value.get_ref<const std::string&>();
}

const json& object_of(const json& value, const std::string& where) {
  if (!value.is_object()) throw io::Error(where + " is a JSON " + value.type_name() + "; expected an object");
  return value;
}

const json& array_of(const json& value, const std::string& where) {
  if (!value.is_array()) throw io::Error(where + " is a JSON " + value.type_name() + "; expected an array of strings");
  return value;
}

void read_json(LabelMap& map, const std::string& text) {
  const std::string& name = map.source;
  const json content = io::parse_json(text, name, {.repeated_keys = io::RepeatedKeys::refused});
  for (const auto& [key, value] : object_of(content, name).items()) {
    const std::string where = name + ": \"" + key + "\"";
    if (key == "version") {
      if (value != 1) throw io::Error(where + " is " + value.dump() + "; this program reads version 1");
    } else if (key == "alias") {
      for (const auto& [spelling, raw] : object_of(value, where).items())
        map.alias[normal_label(spelling, map.rule)] = normal_label(text_of(raw, where + ": " + spelling), map.rule);
    } else if (key == "unlisted") {
      const std::string& what = text_of(value, where);
      if (what != "identity" && what != "error")
        throw io::Error(where + " is \"" + what + "\"; expected \"identity\" or \"error\"");
      map.unlisted = what == "error" ? Unlisted::error : Unlisted::identity;
    } else if (key != "unified" && key != "ignore") {
      throw io::Error(where + " is no key of a mapping; expected version, unified, unlisted, ignore, alias");
    }
  }
  // After the aliases: labels in the lists may be spelt in any of the ways.
  if (content.contains("ignore")) {
    const std::string where = name + ": \"ignore\"";
    for (const json& label : array_of(content["ignore"], where))
      map.ignored.insert(map.raw_label(text_of(label, name + ": a label of \"ignore\"")));
  }
  if (content.contains("unified")) {
    const std::string where = name + ": \"unified\"";
    for (const auto& [unified, raws] : object_of(content["unified"], where).items()) {
      const std::string where_in_it = where + ": " + unified;
      for (const json& raw : array_of(raws, where_in_it))
        map.unify(map.raw_label(text_of(raw, name + ": a label of " + unified)), map.raw_label(unified));
    }
  }
}

void read_csv(LabelMap& map, const std::string& bytes) {
  const std::string& name = map.source;
  std::string text;
  const std::string decoded = io::decode_text(bytes).utf8;
  for (std::string_view rest = decoded; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    // A comment leaves its empty line, so that errors count as the file does.
    if (!line.starts_with('#')) text += line;
    text += '\n';
  }
  bool header = true;
  for (const io::CsvRecord& record : io::parse_csv(text, io::sniff_delimiter(text), name)) {
    const std::string where = name + ":" + std::to_string(record.line) + ": ";
    if (record.cells.size() != 2)
      throw io::Error(where + std::to_string(record.cells.size()) + " cells; expected 2: raw,unified");
    if (header && (trimmed(record.cells[0]) != "raw" || trimmed(record.cells[1]) != "unified"))
      throw io::Error(where + "the header is '" + record.cells[0] + "," + record.cells[1] +
                      "'; expected 'raw,unified'");
    if (!header) {
      const std::string raw = map.raw_label(record.cells[0]), unified = map.raw_label(record.cells[1]);
      if (raw.empty() || unified.empty()) throw io::Error(where + "an empty label");
      map.unify(raw, unified);
    }
    header = false;
  }
  if (header) throw io::Error(name + ": empty; expected the header raw,unified");
}

}  // namespace

std::string normal_text(std::string_view text, const LabelRule& rule) {
  int options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
  if (rule.ignore_case) options |= UTF8PROC_CASEFOLD;
  if (rule.ignore_accents) options |= UTF8PROC_STRIPMARK;
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(mapped, std::free);
  if (size < 0) throw io::Error("the label or name '" + std::string(text) + "' is not UTF-8; rename it");
  return trimmed(std::string_view(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size)));
}

std::string normal_label(std::string_view text, const LabelRule& rule) {
  std::string normal = normal_text(text, rule);
  for (char& letter : normal) letter = letter == ' ' || letter == '-' ? '_' : letter;
  return normal;
}

std::string LabelMap::raw_label(std::string_view text) const {
  std::string label = normal_label(text, rule);
  const auto found = alias.find(label);
  return found == alias.end() ? label : found->second;
}

std::string LabelMap::unified_label(const std::string& raw) const {
  const auto found = unified.find(raw);
  if (found != unified.end()) return found->second;
  if (unlisted == Unlisted::identity) return raw;
  for (const auto& [listed, target] : unified)
    if (target == raw) return raw;
  throw io::Error(source + ": does not list the label '" + raw + "', and \"unlisted\" is \"error\"; add it");
}

void LabelMap::unify(const std::string& raw, const std::string& unified_label) {
  const auto [known, added] = unified.emplace(raw, unified_label);
  if (!added && known->second != unified_label) {
    throw io::Error(source + ": '" + raw + "' is unified to both '" + known->second + "' and '" + unified_label +
                    "'; keep one");
  }
}

void LabelMap::check_idempotent() const {
  for (const auto& [raw, target] : unified) {
    const auto again = unified.find(target);
    if (again != unified.end() && again->second != target) {
      throw io::Error(source + ": '" + raw + "' is unified to '" + target + "', which is unified to '" + again->second +
                      "' in its turn; write the last of them for both");
    }
  }
}

LabelMap identity_map(const LabelRule& rule) {
  LabelMap map;
  map.rule = rule;
  map.source = "identity";
  return map;
}

LabelMap read_label_map(const std::filesystem::path& file, const LabelRule& rule) {
  LabelMap map;
  map.rule = rule;
  map.source = file.string();
  const std::string text = io::read_text(file);
  map.sha256 = io::sha256_hex(text);
  const size_t begin = text.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (begin != std::string::npos && text[begin] == '{') {
    read_json(map, text.substr(begin));
  } else {
    read_csv(map, text);
  }
  map.check_idempotent();
  return map;
}

}  // namespace aid::train::workflow
