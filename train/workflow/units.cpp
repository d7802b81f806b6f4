#include "train/workflow/units.h"

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <set>
#include <stdexcept>

#include "io/dataset.h"
#include "io/error.h"
#include "io/text.h"

namespace aid::train::workflow {
namespace {

namespace fs = std::filesystem;

std::string name_of_path(const std::string& path) {
  const size_t slash = path.find_last_of("/\\");
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string without_bucket(std::string path) {
  if (path.starts_with("s3://")) {
    const size_t slash = path.find('/', 5);
    path = slash == std::string::npos ? "" : path.substr(slash + 1);
  }
  while (path.starts_with("./")) path.erase(0, 2);
  while (path.starts_with('/')) path.erase(0, 1);
  return path;
}

std::string url_decoded(const std::string& text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = i + 2 < text.size() ? digit(text[i + 1]) : -1, low = high < 0 ? -1 : digit(text[i + 2]);
    if (text[i] == '%' && low >= 0) {
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

// The key of a row: as the identifier is written where the truth knows that, else decoded.
std::string key_of_row(const std::string& id, const Truth& truth, const KeyRule& rule) {
  std::string written = key_of(id, rule);
  const auto known = [&](const std::string& key) { return truth.find(key) || truth.ignored_keys.contains(key); };
  if (known(written) || id.find_first_of("%+") == std::string::npos) return written;
  const std::string decoded = url_decoded(id);
  if (io::valid_utf8_prefix(decoded) != decoded.size()) return written;
  const std::string key = key_of(decoded, rule);
  return known(key) ? key : written;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

std::string lower_last_part(const std::string& column) {
  std::string part = column.substr(column.rfind('.') == std::string::npos ? 0 : column.rfind('.') + 1);
  std::string lower;
  for (const char c : part)
    if (c != '_' && c != '-' && c != ' ') lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

using Names = std::set<std::string, std::less<>>;
const Names kIdNames{"id",       "file",       "filename",    "archivo",  "nombrearchivo", "fichero", "documento",
                     "document", "documentid", "iddocumento", "key",      "s3key",         "path",    "ruta",
                     "nombre",   "name",       "pk",          "objectkey"};
const Names kPredictionNames{"label",          "prediction", "predicted", "prediccion",    "clase",
                             "class",          "tipologia",  "typology",  "tipodocumento", "documenttype",
                             "tipodocumental", "category",   "categoria", "etiqueta"};
const Names kScoreNames{"score",        "confidence", "confianza",  "probability",
                        "probabilidad", "scores",     "puntuacion", "prob"};
const Names kTimeNames{"timestamp", "createdat", "updatedat", "fecha", "date", "time", "fechaproceso", "processedat"};

enum class Need : unsigned char { required, optional };

struct Choice {
  const char* flag;
  const Names& names;
  Need need;
};

// matches(column): rows in which the column's value means something on the truth's side.
template <class Matches>
std::string choose(const io::ResultsTable& results, const std::string& asked, const Choice& choice, Matches&& matches) {
  const auto exists = [&](const std::string& path) {
    return std::any_of(results.columns.begin(), results.columns.end(),
                       [&](const std::string& column) { return column == path || column.starts_with(path + "."); });
  };
  if (!asked.empty()) {
    if (exists(asked)) return asked;
    throw io::Error(results.name + ": has no column '" + asked + "' (" + choice.flag + "); it has " +
                    listed(results.columns));
  }
  std::vector<std::string> named, meaningful;
  for (const std::string& column : results.columns)
    if (choice.names.contains(lower_last_part(column))) named.push_back(column);
  for (const std::string& column : named.empty() && choice.need == Need::required ? results.columns : named)
    if (matches(column) > 0) meaningful.push_back(column);
  if (meaningful.size() == 1) return meaningful[0];
  if (meaningful.empty() && named.size() == 1) return named[0];
  if (choice.need == Need::optional && meaningful.empty()) return "";
  throw io::Error(results.name + ": it is not clear which column to take; say " + choice.flag + " COLUMN. " +
                  (meaningful.empty() ? "Columns: " + listed(results.columns) : "It may be " + listed(meaningful)));
}

std::optional<double> number_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0' || !(value >= 0 && value <= 1)) return std::nullopt;
  return value;
}

const std::string& value_in(const io::ResultRow& row, const std::string& column) {
  static const std::string none;
  const auto found = row.values.find(column);
  return found == row.values.end() ? none : found->second;
}

Prediction prediction_of(const io::ResultRow& row, const Columns& columns, const LabelMap& labels) {
  Prediction prediction{.line = row.line, .time = columns.time.empty() ? "" : value_in(row, columns.time)};
  const std::string& label = value_in(row, columns.prediction);
  if (!label.empty()) prediction.label = labels.raw_label(label);
  if (columns.score.empty()) return prediction;
  prediction.score = number_of(value_in(row, columns.score));
  // "score" beside "scores.LABEL" is what `aid predict` writes.
  for (const std::string& map : {columns.score, columns.score + "s"}) {
    const std::string prefix = map + ".";
    for (auto it = row.values.lower_bound(prefix); it != row.values.end() && it->first.starts_with(prefix); ++it)
      if (const auto value = number_of(it->second))
        prediction.scores[labels.raw_label(it->first.substr(prefix.size()))] += *value;
  }
  if (!prediction.score && !prediction.label.empty()) {
    const auto found = prediction.scores.find(prediction.label);
    if (found != prediction.scores.end()) prediction.score = found->second;
  }
  return prediction;
}

// The rows of one key, earliest first.
void sort_by_time(std::vector<Prediction>& rows) {
  const auto seconds = [](const Prediction& row) {
    char* end = nullptr;
    const double value = std::strtod(row.time.c_str(), &end);
    return row.time.empty() || *end != '\0' ? std::optional<double>() : std::optional(value);
  };
  const bool numbers = std::all_of(rows.begin(), rows.end(), [&](const Prediction& row) { return seconds(row); });
  std::stable_sort(rows.begin(), rows.end(), [&](const Prediction& a, const Prediction& b) {
    return numbers ? *seconds(a) < *seconds(b) : a.time < b.time;
  });
}

Prediction resolve(const std::string& key, std::vector<Prediction> rows, Duplicates rule, const std::string& name) {
  if (rule == Duplicates::error) {
    throw io::Error(name + ":" + std::to_string(rows[1].line) + ": a second row for '" + key + "', after line " +
                    std::to_string(rows[0].line) + "; say --duplicates last, first or majority, or remove one");
  }
  sort_by_time(rows);
  const bool any_label =
      std::any_of(rows.begin(), rows.end(), [](const Prediction& row) { return !row.label.empty(); });
  if (any_label) std::erase_if(rows, [](const Prediction& row) { return row.label.empty(); });
  if (rule == Duplicates::first) return rows.front();
  if (rule == Duplicates::last) return rows.back();
  std::map<std::string, int> votes;
  int most = 0;
  for (const Prediction& row : rows) most = std::max(most, ++votes[row.label]);
  return *std::find_if(rows.rbegin(), rows.rend(), [&](const Prediction& row) { return votes[row.label] == most; });
}

}  // namespace

KeyRule key_rule_of(const std::string& text) {
  if (text == "stem") return {.kind = KeyKind::stem};
  if (text == "name") return {.kind = KeyKind::name};
  if (text == "relpath") return {.kind = KeyKind::relpath};
  if (text.starts_with("regex:")) {
    try {
      const std::regex check(text.substr(6));
    } catch (const std::regex_error& error) {
      throw std::invalid_argument("--key " + text + ": not a regular expression: " + error.what());
    }
    return {.kind = KeyKind::regex, .pattern = text.substr(6)};
  }
  throw std::invalid_argument("--key " + text + ": expected stem, name, relpath or regex:PATTERN");
}

std::string key_of(const std::string& path, const KeyRule& rule) {
  std::string key;
  switch (rule.kind) {
    case KeyKind::stem: {
      key = name_of_path(path);
      const size_t dot = key.rfind('.');
      if (dot != std::string::npos && dot > 0) key.resize(dot);
      break;
    }
    case KeyKind::name:
      key = name_of_path(path);
      break;
    case KeyKind::relpath:
      key = without_bucket(path);
      break;
    case KeyKind::regex: {
      std::smatch match;
      if (std::regex_search(path, match, std::regex(rule.pattern))) key = match[match.size() > 1 ? 1 : 0].str();
      break;
    }
  }
  return normal_text(key, {.ignore_case = rule.ignore_case});
}

const TruthUnit* Truth::find(const std::string& key) const {
  const auto found =
      std::lower_bound(units.begin(), units.end(), key,
                       [](const TruthUnit& unit, const std::string& wanted) { return unit.key < wanted; });
  return found != units.end() && found->key == key ? &*found : nullptr;
}

Truth read_truth(const fs::path& folder, const KeyRule& rule, const LabelMap& labels) {
  Truth truth{.folder = folder};
  std::map<std::string, TruthUnit> units;
  std::vector<std::string> conflicts;
  std::error_code error;
  std::vector<fs::path> files;
  fs::recursive_directory_iterator it(folder, fs::directory_options::follow_directory_symlink, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    if (it->path().filename().native().starts_with('.')) {
      it.disable_recursion_pending();
    } else if (it.depth() > 0 && it->is_regular_file(error)) {
      files.push_back(it->path());
    }
  }
  if (error) throw io::Error("cannot list the folder '" + folder.string() + "': " + error.message());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    const fs::path inside = file.lexically_relative(folder);
    const std::string label = labels.raw_label(inside.begin()->string());
    const std::string key = key_of(inside.string(), rule);
    if (key.empty())
      throw io::Error(file.string() + ": its key is empty; --key asks for something that it does not have");
    const auto [known, added] = units.try_emplace(key, TruthUnit{.key = key, .file = file, .label = label});
    if (added) continue;
    ++truth.same_key;
    if (known->second.label != label) conflicts.push_back(known->second.file.string() + " and " + file.string());
  }
  if (!conflicts.empty()) {
    std::string text =
        folder.string() + ": the same file in two typologies (" + std::to_string(conflicts.size()) + "): ";
    const size_t shown = std::min<size_t>(conflicts.size(), 10);
    for (size_t i = 0; i < shown; ++i) text += (i > 0 ? "; " : "") + conflicts[i];
    throw io::Error(text + (shown < conflicts.size() ? "; ..." : "") +
                    ". Remove one of each, or tell them apart with --key name, relpath or regex:PATTERN");
  }
  std::string manifest;
  for (auto& [key, unit] : units) {
    manifest.append(key).append("\t").append(unit.label).append("\n");
    if (labels.ignored.contains(unit.label)) {
      ++truth.ignored;
      truth.ignored_keys.emplace(key, unit.label);
    } else {
      truth.units.push_back(std::move(unit));
    }
  }
  truth.sha256 = io::sha256_hex(manifest);
  if (truth.units.empty())
    throw io::Error("the truth '" + folder.string() +
                    "' holds no files; expected one folder per typology with files in it");
  return truth;
}

LabelMap infer_label_map(const fs::path& raw, const fs::path& unified, const KeyRule& rule, const LabelRule& labels,
                         Scattered scattered) {
  LabelMap map = identity_map(labels);
  map.source = raw.string() + " to " + unified.string();
  const Truth from = read_truth(raw, rule, map), to = read_truth(unified, rule, map);
  std::map<std::string, std::map<std::string, int64_t>> table;
  for (const TruthUnit& unit : from.units)
    if (const TruthUnit* target = to.find(unit.key)) ++table[unit.label][target->label];
  if (table.empty()) throw io::Error(map.source + ": no file is in both; expected the same files in other folders");
  std::string refused, manifest;
  for (const auto& [label, targets] : table) {
    auto most = targets.begin();
    for (auto it = targets.begin(); it != targets.end(); ++it) {
      if (it->second > most->second) most = it;
      if (targets.size() > 1)
        refused += "\n  " + label + " -> " + it->first + ": " + std::to_string(it->second) + " files";
    }
    map.unify(label, most->first);
    manifest.append(label).append("\t").append(most->first).append("\n");
  }
  if (!refused.empty() && scattered == Scattered::refused) {
    throw io::Error(map.source + ": a typology went to several unified ones:" + refused +
                    "\nWrite the mapping by hand (--unify FILE), or take each file's own with --per-file");
  }
  for (const TruthUnit& unit : from.units) {
    const TruthUnit* target = to.find(unit.key);
    if (target == nullptr || table[unit.label].size() == 1) continue;
    map.unified_of_key[unit.key] = target->label;
    manifest.append(unit.key).append("\t").append(target->label).append("\n");
  }
  map.sha256 = io::sha256_hex(manifest);
  map.check_idempotent();
  return map;
}

Columns choose_columns(const io::ResultsTable& results, const Columns& asked, const Truth& truth, const KeyRule& rule,
                       const LabelMap& labels) {
  const auto count = [&](auto&& means) {
    return [&results, means](const std::string& column) {
      int64_t rows = 0;
      for (const io::ResultRow& row : results.rows) {
        const std::string& value = value_in(row, column);
        rows += !value.empty() && means(value) ? 1 : 0;
      }
      return rows;
    };
  };
  std::set<std::string> known;
  for (const TruthUnit& unit : truth.units) {
    known.insert(unit.label);
    known.insert(labels.unified.contains(unit.label) ? labels.unified.at(unit.label) : unit.label);
  }
  for (const auto& [raw, unified] : labels.unified) known.insert({raw, unified});
  Columns columns;
  columns.id =
      choose(results, asked.id, {"--id-col", kIdNames, Need::required},
             count([&](const std::string& value) { return truth.find(key_of_row(value, truth, rule)) != nullptr; }));
  columns.prediction = choose(results, asked.prediction, {"--pred-col", kPredictionNames, Need::required},
                              count([&](const std::string& value) { return known.contains(labels.raw_label(value)); }));
  columns.score = choose(results, asked.score, {"--score-col", kScoreNames, Need::optional},
                         count([](const std::string& value) { return number_of(value).has_value(); }));
  columns.time =
      choose(results, asked.time, {"--time-col", kTimeNames, Need::optional}, count([](auto&) { return true; }));
  return columns;
}

Predictions read_predictions(const io::ResultsTable& results, const Columns& columns, const Truth& truth,
                             const KeyRule& rule, const LabelMap& labels, Duplicates duplicates) {
  Predictions predictions;
  std::map<std::string, std::vector<Prediction>> rows;
  for (const io::ResultRow& row : results.rows) {
    ++predictions.rows;
    const std::string& id = value_in(row, columns.id);
    const std::string key = id.empty() ? "" : key_of_row(id, truth, rule);
    if (key.empty()) {
      ++predictions.without_id;
    } else {
      rows[key].push_back(prediction_of(row, columns, labels));
    }
  }
  for (auto& [key, candidates] : rows) {
    if (candidates.size() == 1) {
      predictions.of_key.emplace(key, std::move(candidates[0]));
      continue;
    }
    Duplicate duplicate{.key = key};
    for (const Prediction& row : candidates) duplicate.labels.push_back(row.label);
    Prediction kept = resolve(key, std::move(candidates), duplicates, results.name);
    duplicate.kept = kept.label;
    predictions.of_key.emplace(key, std::move(kept));
    predictions.duplicates.push_back(std::move(duplicate));
  }
  return predictions;
}

}  // namespace aid::train::workflow
