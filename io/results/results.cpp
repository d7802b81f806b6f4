#include "io/results/results.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "io/dataset.h"
#include "io/error.h"
#include "io/file.h"
#include "io/gzip.h"
#include "io/json_file.h"
#include "io/results/csv_reader.h"
#include "io/text.h"

namespace aid::io {
namespace {

using nlohmann::json;

constexpr int kDeepest = 64;  // DynamoDB nests at most 32 levels; typed values take two each

bool is_type_name(std::string_view name) {
  for (const std::string_view type : {"S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "M", "L"})
    if (name == type) return true;
  return false;
}

// {"S": "x"} and the like: one key that names a type, and a value of that type. Numbers may come bare.
bool is_typed(const json& value) {
  if (!value.is_object() || value.size() != 1) return false;
  const std::string& type = value.begin().key();
  const json& content = value.begin().value();
  if (type == "S" || type == "B") return content.is_string();
  if (type == "N") return content.is_string() || content.is_number();
  if (type == "BOOL" || type == "NULL") return content.is_boolean();
  if (type == "M") return content.is_object();
  return is_type_name(type) && content.is_array();
}

enum class Typed : unsigned char { no, unwrap };

class RowBuilder {
 public:
  explicit RowBuilder(ResultRow& row) : row_(row) {}

  void put(const std::string& path, const std::string& text) {
    if (!text.empty()) row_.values.insert_or_assign(path, text);
  }

  // False where it is nested too deeply.
  bool flatten(const std::string& path, const json& value, Typed typed, int depth = 0) {
    if (depth > kDeepest) return false;
    if (typed == Typed::unwrap && is_typed(value)) {
      if (value.begin().key() == "NULL") return true;
      return flatten_plain(path, value.begin().value(), typed, depth);
    }
    return flatten_plain(path, value, typed, depth);
  }

 private:
  bool flatten_plain(const std::string& path, const json& value, Typed typed, int depth) {
    if (value.is_object()) {
      for (const auto& [key, member] : value.items())
        if (!flatten(path.empty() ? key : path + "." + key, member, typed, depth + 1)) return false;
    } else if (value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i)
        if (!flatten(path + "[" + std::to_string(i) + "]", value[i], typed, depth + 1)) return false;
    } else if (value.is_string()) {
      put(path, value.get_ref<const std::string&>());
    } else if (!value.is_null()) {
      put(path, value.dump());
    }
    return true;
  }

  ResultRow& row_;
};

// The old console's { "a", "b" }, which is no JSON.
std::optional<std::vector<std::string>> parse_old_set(std::string_view text) {
  std::vector<std::string> members;
  std::size_t at = 0;
  const auto skip_blanks = [&] {
    while (at < text.size() && text[at] == ' ') ++at;
  };
  const auto take = [&](char expected) {
    skip_blanks();
    return at < text.size() && text[at] == expected ? (++at, true) : false;
  };
  if (!take('{')) return std::nullopt;
  do {
    std::string member;
    if (!take('"')) return std::nullopt;
    while (at < text.size() && text[at] != '"') {
      if (text[at] == '\\' && at + 1 < text.size()) ++at;
      member += text[at++];
    }
    if (!take('"')) return std::nullopt;
    members.push_back(std::move(member));
  } while (take(','));
  if (!take('}')) return std::nullopt;
  skip_blanks();
  if (at != text.size()) return std::nullopt;
  return members;
}

struct Column {
  std::string name, type;  // type: of an old console's header, or empty
};

Column column_of(const std::string& header) {
  const std::size_t open = header.rfind(" (");
  if (open != std::string::npos && header.ends_with(')')) {
    const std::string type = header.substr(open + 2, header.size() - open - 3);
    if (is_type_name(type)) return {header.substr(0, open), type};
  }
  return {header, ""};
}

void put_cell(ResultRow& row, const Column& column, const std::string& cell) {
  RowBuilder builder(row);
  const bool scalar = column.type == "S" || column.type == "N" || column.type == "B" || column.type == "BOOL";
  if (column.type == "NULL") return;
  if (!scalar && (cell.starts_with('[') || cell.starts_with('{'))) {
    const json value = json::parse(cell, nullptr, false);
    ResultRow decoded;
    if (!value.is_discarded()) {
      if (RowBuilder(decoded).flatten(column.name, value, Typed::unwrap)) {
        row.values.merge(decoded.values);
        return;
      }
    } else if (const auto members = parse_old_set(cell)) {
      for (std::size_t i = 0; i < members->size(); ++i)
        builder.put(column.name + "[" + std::to_string(i) + "]", (*members)[i]);
      return;
    }
  }
  builder.put(column.name, cell);
}

void add_csv(ResultsTable& table, std::string bytes) {
  Text text;
  try {
    text = decode_text(std::move(bytes));
  } catch (const Error& error) {
    throw Error(table.name + ": neither CSV nor JSON nor gzip: " + error.what());
  }
  if (text.encoding != Encoding::utf8) table.notes.push_back("read as " + std::string(encoding_name(text.encoding)));
  const auto records = parse_csv(text.utf8, sniff_delimiter(text.utf8), table.name);
  if (records.empty()) throw Error(table.name + ": empty; expected a header and one line per result");

  std::vector<Column> columns;
  std::set<std::string> names;
  bool old_console = false;
  for (const std::string& header : records[0].cells) {
    columns.push_back(column_of(header));
    old_console = old_console || !columns.back().type.empty();
    if (!columns.back().name.empty() && !names.insert(columns.back().name).second) {
      throw Error(table.name + ":" + std::to_string(records[0].line) + ": two columns are called '" +
                  columns.back().name + "'; rename one");
    }
  }
  table.format = old_console ? "CSV (DynamoDB console with types)" : "CSV";
  for (std::size_t i = 1; i < records.size(); ++i) {
    const CsvRecord& record = records[i];
    const bool only_empty_beyond =
        std::all_of(record.cells.begin() + static_cast<std::ptrdiff_t>(std::min(columns.size(), record.cells.size())),
                    record.cells.end(), [](const std::string& cell) { return cell.empty(); });
    if (record.cells.size() < columns.size() || !only_empty_beyond) {
      throw Error(table.name + ":" + std::to_string(record.line) + ": " + std::to_string(record.cells.size()) +
                  " cells; expected " + std::to_string(columns.size()) + " as in the header");
    }
    ResultRow row{.line = record.line};
    for (std::size_t c = 0; c < columns.size(); ++c) put_cell(row, columns[c], record.cells[c]);
    table.rows.push_back(std::move(row));
  }
}

void add_object(ResultsTable& table, const json& object, int line) {
  const std::string where = table.name + ":" + std::to_string(line) + ": ";
  if (!object.is_object()) throw Error(where + "a JSON " + object.type_name() + "; expected an object, one per result");
  const bool exported = object.size() == 1 && object.contains("Item") && object["Item"].is_object();
  const json& item = exported ? object["Item"] : object;
  const bool typed = exported || (!item.empty() && std::all_of(item.begin(), item.end(), is_typed));
  ResultRow row{.line = line};
  RowBuilder builder(row);
  for (const auto& [name, value] : item.items()) {
    if (!builder.flatten(name, value, typed ? Typed::unwrap : Typed::no))
      throw Error(where + "'" + name + "' is nested deeper than " + std::to_string(kDeepest) + " levels");
  }
  table.rows.push_back(std::move(row));
}

void add_items(ResultsTable& table, const json& items) {
  int number = 0;
  for (const json& item : items) add_object(table, item, ++number);
}

bool is_page_of_items(const json& value) {
  return value.is_object() && value.contains("Items") && value["Items"].is_array();
}

void add_page(ResultsTable& table, const json& page) {
  add_items(table, page["Items"]);
  if (page.contains("LastEvaluatedKey") || page.contains("NextToken"))
    table.notes.push_back("a partial scan: it ends with a key to go on from; scan the whole table");
}

void add_json(ResultsTable& table, std::string_view text) {
  const std::string_view first_line = text.substr(0, text.find('\n'));
  const json first = json::parse(first_line, nullptr, false);
  const bool several_lines = !is_blank(text.substr(first_line.size()));
  if (first.is_object() && (several_lines || !is_page_of_items(first))) {
    table.format = "JSON lines";
    int line = 1;
    while (!text.empty()) {
      const std::string_view one = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(text.size(), one.size() + 1));
      if (!is_blank(one)) {
        const json value = parse_json(one, table.name, {.first_line = line});
        if (is_page_of_items(value)) {
          add_page(table, value);
        } else {
          add_object(table, value, line);
        }
      }
      ++line;
    }
    return;
  }
  const json whole = parse_json(text, table.name);
  if (whole.is_array()) {
    table.format = "JSON array";
    add_items(table, whole);
  } else if (is_page_of_items(whole)) {
    table.format = "JSON of a DynamoDB scan";
    add_page(table, whole);
  } else {
    throw Error(table.name +
                ": a JSON object without \"Items\"; expected what `aws dynamodb scan` prints, an array, or one "
                "object per line");
  }
}

}  // namespace

ResultsTable parse_results(std::string bytes, const std::string& name) {
  ResultsTable table{.name = name, .sha256 = sha256_hex(bytes)};
  const bool compressed = is_gzip(bytes);
  if (compressed) bytes = gunzip(bytes, name);
  std::string_view text = bytes;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t\r\n")));
  if (text.starts_with('{') || text.starts_with('[')) {
    add_json(table, text);
  } else {
    add_csv(table, std::move(bytes));
  }
  if (compressed) table.format += ", gzip";
  std::set<std::string, std::less<>> seen;
  for (const ResultRow& row : table.rows)
    for (const auto& [path, value] : row.values)
      if (seen.insert(path).second) table.columns.push_back(path);
  return table;
}

ResultsTable read_results(const std::filesystem::path& file) { return parse_results(read_text(file), file.string()); }

}  // namespace aid::io
