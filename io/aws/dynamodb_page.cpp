#include "io/aws/dynamodb_page.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/error.h"

namespace aid::io::aws {
namespace {

using nlohmann::json;

constexpr int kDeepest = 64;  // DynamoDB allows 32

void check_depth(const json& value, int depth) {
  if (depth > kDeepest) throw Error("the answer nests values more than 64 deep");
  if (!value.is_structured()) return;
  for (const json& inner : value) check_depth(inner, depth + 1);
}

// What the CSV holds of one {"TYPE": value}.
std::string cell_of(const json& typed) {
  if (!typed.is_object() || typed.size() != 1) throw Error("the answer has an attribute that is not {\"TYPE\": value}");
  const std::string& type = typed.begin().key();
  const json& value = typed.begin().value();
  const bool text = value.is_string();
  if ((type == "S" || type == "B") && text) return value.get<std::string>();
  if (type == "N" && (text || value.is_number())) return text ? value.get<std::string>() : value.dump();
  if (type == "BOOL" && value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (type == "NULL") return "null";
  if ((type == "L" || type == "SS" || type == "NS" || type == "BS") && value.is_array()) {
    if (type == "L") return value.dump();
    std::vector<std::string> members;  // a set has no order: sorted, so that files can be compared
    for (const json& member : value) members.push_back(member.is_string() ? member.get<std::string>() : member.dump());
    std::sort(members.begin(), members.end());
    return json(members).dump();
  }
  if (type == "M" && value.is_object()) return value.dump();
  throw Error("the answer has an attribute of type '" + type + "' that is not of DynamoDB's form");
}

}  // namespace

ScanPage parse_scan_page(std::string_view body) {
  const json answer = json::parse(body, nullptr, false);
  if (answer.is_discarded()) throw Error("the answer is not whole JSON");
  if (!answer.is_object() || !answer.contains("Items") || !answer["Items"].is_array()) {
    throw Error("the answer has no \"Items\"");
  }
  check_depth(answer, 0);
  ScanPage page;
  for (const json& item : answer["Items"]) {
    if (!item.is_object()) throw Error("the answer has an item that is no object");
    ScanPage::Row& row = page.rows.emplace_back();
    for (const auto& [name, value] : item.items()) row[name] = cell_of(value);
  }
  const auto key = answer.find("LastEvaluatedKey");
  if (key != answer.end() && key->is_object() && !key->empty()) page.next = key->dump();
  const auto scanned = answer.find("ScannedCount");
  if (scanned != answer.end() && scanned->is_number_integer()) page.scanned = scanned->get<long long>();
  const auto capacity = answer.find("ConsumedCapacity");
  if (capacity != answer.end() && capacity->is_object()) {
    const auto units = capacity->find("CapacityUnits");
    if (units != capacity->end() && units->is_number()) page.capacity = units->get<double>();
  }
  return page;
}

}  // namespace aid::io::aws
