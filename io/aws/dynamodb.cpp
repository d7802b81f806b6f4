#include "io/aws/dynamodb.h"

#include <algorithm>
#include <charconv>
#include <future>
#include <nlohmann/json.hpp>
#include <set>

#include "io/aws/caller.h"
#include "io/aws/crc.h"
#include "io/aws/dynamodb_page.h"

namespace aid::io::aws {
namespace {

using nlohmann::json;

// {"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException:http://...", "message": ...}
ServiceError dynamodb_error(const HttpAnswer& answer) {
  ServiceError error;
  if (const std::string* id = find_header(answer.headers, "x-amzn-requestid")) error.request_id = *id;
  const json body = json::parse(answer.body, nullptr, false);
  if (!body.is_object()) return error;
  const auto text = [&](const char* name) {
    const auto found = body.find(name);
    return found != body.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  error.code = text("__type");
  error.code = error.code.substr(error.code.find('#') + 1);  // npos + 1 is 0
  error.code = error.code.substr(0, error.code.find(':'));
  error.message = text("message").empty() ? text("Message") : text("message");
  return error;
}

Service dynamodb_service() {
  return {.name = "dynamodb",
          .variable = "DYNAMODB",
          .path_rule = PathRule::normalised,
          .throttle_factor = 1,
          .endpoint = [](const EndpointQuery& query) { return regional_endpoint("dynamodb", query); },
          .error = dynamodb_error};
}

// Empty, or that the body is not what the server sent.
std::string crc_fault(const HttpAnswer& answer) {
  const std::string* header = find_header(answer.headers, "x-amz-crc32");
  if (header == nullptr) return "";
  const std::uint64_t crc = kCrc32.extend(0, std::as_bytes(std::span(answer.body)));
  return std::to_string(crc) == *header ? ""
                                        : "the CRC32 of what came is " + std::to_string(crc) + "; expected " + *header;
}

json typed_value(const std::string& text) {
  const json parsed = json::parse(text, nullptr, false);
  if (parsed.is_number()) return {{"N", text}};
  if (parsed.is_boolean()) return {{"BOOL", parsed}};
  return {{"S", parsed.is_string() ? parsed.get<std::string>() : text}};
}

void add_filters(json& body, const std::vector<Filter>& filters) {
  std::string expression;
  for (std::size_t i = 0; i < filters.size(); ++i) {
    const Filter& filter = filters[i];
    const std::string name = "#n" + std::to_string(i), value = ":v" + std::to_string(i);
    if (i > 0) expression += " AND ";
    body["ExpressionAttributeNames"][name] = filter.name;
    if (filter.operation == "exists" || filter.operation == "missing") {
      expression += (filter.operation == "exists" ? "attribute_exists(" : "attribute_not_exists(") + name + ")";
      continue;
    }
    body["ExpressionAttributeValues"][value] = typed_value(filter.value);
    const bool function = filter.operation == "begins_with" || filter.operation == "contains";
    expression +=
        function ? filter.operation + "(" + name + ", " + value + ")" : name + " " + filter.operation + " " + value;
  }
  if (!expression.empty()) body["FilterExpression"] = expression;
}

Call dynamodb_call(const std::string& operation, const std::string& table, const json& body) {
  Call call;
  call.what = "DynamoDB " + operation + " of table '" + table + "'";
  call.method = "POST";
  call.headers = {{"content-type", "application/x-amz-json-1.0"}, {"x-amz-target", "DynamoDB_20120810." + operation}};
  call.body = std::make_shared<MemoryBody>(body.dump());
  call.payload = Payload::signed_hash;
  return call;
}

}  // namespace

Filter parse_filter(const std::string& text) {
  static const std::set<std::string> kComparisons = {"=", "<>", "<", "<=", ">", ">=", "begins_with", "contains"};
  const std::string_view all = trimmed(text);
  const std::size_t first = std::min(all.find(' '), all.size());
  const std::string_view rest = trimmed(all.substr(first));
  const std::size_t second = std::min(rest.find(' '), rest.size());
  Filter filter{.name = std::string(all.substr(0, first)),
                .operation = std::string(rest.substr(0, second)),
                .value = std::string(trimmed(rest.substr(second)))};
  const bool presence = (filter.operation == "exists" || filter.operation == "missing") && filter.value.empty();
  if (filter.name.empty() || !(presence || (kComparisons.contains(filter.operation) && !filter.value.empty()))) {
    throw Error(
        "the filter '" + text +
        "' is not NAME OP VALUE with OP one of = <> < <= > >= begins_with contains, or NAME exists, or NAME missing");
  }
  return filter;
}

class DynamoDbClient::Implementation {
 public:
  explicit Implementation(const ClientOptions& options) : caller(options, dynamodb_service()) {}
  Caller caller;
};

DynamoDbClient::DynamoDbClient(const ClientOptions& options)
    : implementation_(std::make_unique<Implementation>(options)) {}
DynamoDbClient::~DynamoDbClient() = default;
Statistics DynamoDbClient::statistics() const { return implementation_->caller.statistics(); }

TableInfo DynamoDbClient::describe(const std::string& table) {
  std::promise<Outcome<HttpAnswer>> promise;
  Call call = dynamodb_call("DescribeTable", table, {{"TableName", table}});
  call.fault = [](const HttpAnswer& answer) -> std::string {
    if (std::string fault = crc_fault(answer); !fault.empty()) return fault;
    const json body = json::parse(answer.body, nullptr, false);
    const bool whole = body.is_object() && body.contains("Table") && body["Table"].is_object() &&
                       body["Table"].contains("KeySchema") && body["Table"]["KeySchema"].is_array();
    return whole ? "" : "the answer does not describe a table";
  };
  implementation_->caller.start(std::move(call),
                                [&promise](Outcome<HttpAnswer> outcome) { promise.set_value(std::move(outcome)); });
  Outcome<HttpAnswer> outcome = promise.get_future().get();
  const json found = json::parse(outcome.value().body)["Table"];
  TableInfo info;
  for (const json& key : found["KeySchema"]) {
    (key.value("KeyType", "") == "HASH" ? info.partition_key : info.sort_key) = key.value("AttributeName", "");
  }
  info.items = found.value("ItemCount", 0LL);
  return info;
}

// The segments' pages come on the driver's thread, so that nothing here needs a lock until the promise.
Table DynamoDbClient::scan(const ScanRequest& request, const std::function<void(const ScanProgress&)>& progress) {
  const TableInfo info = describe(request.table);
  struct State {
    std::vector<ScanPage::Row> rows;
    ScanProgress progress;
    int open = 0;
    std::optional<CallError> error;
    std::promise<void> ended;
  } state;
  state.open = std::max(1, request.segments);

  std::function<void(int, const json&)> ask = [&](int segment, const json& from) {
    json body = {{"TableName", request.table}, {"ReturnConsumedCapacity", "TOTAL"}};
    if (request.segments > 1) {
      body["Segment"] = segment;
      body["TotalSegments"] = request.segments;
    }
    if (request.page_size > 0) body["Limit"] = request.page_size;
    if (request.consistent) body["ConsistentRead"] = true;
    if (!from.is_null()) body["ExclusiveStartKey"] = from;
    add_filters(body, request.filters);
    Call call = dynamodb_call("Scan", request.table, body);
    const auto page = std::make_shared<ScanPage>();
    call.fault = [page, from](const HttpAnswer& answer) -> std::string {
      if (std::string fault = crc_fault(answer); !fault.empty()) return fault;
      try {
        *page = parse_scan_page(answer.body);
      } catch (const Error& error) {
        return error.what();
      }
      return !from.is_null() && page->next == from.dump() ? "the scan goes round in circles: the same key again" : "";
    };
    implementation_->caller.start(std::move(call), [&, segment, page](const Outcome<HttpAnswer>& outcome) {
      if (!outcome.ok()) {
        if (!state.error) state.error = outcome.error();
      } else {
        ++state.progress.pages;
        state.progress.items += static_cast<long long>(page->rows.size());
        state.progress.scanned += page->scanned;
        state.progress.capacity_units += page->capacity;
        std::move(page->rows.begin(), page->rows.end(), std::back_inserter(state.rows));
        if (progress) progress(state.progress);
        if (!page->next.empty() && !state.error) return ask(segment, json::parse(page->next));
      }
      if (--state.open == 0) state.ended.set_value();
    });
  };
  for (int segment = 0; segment < std::max(1, request.segments); ++segment) ask(segment, nullptr);
  state.ended.get_future().wait();
  if (state.error) throw *state.error;

  std::set<std::string> names;
  for (const ScanPage::Row& row : state.rows) {
    for (const auto& [name, cell] : row) names.insert(name);
  }
  Table table;
  for (const std::string& key : {info.partition_key, info.sort_key}) {
    names.erase(key);
    if (!key.empty()) table.columns.push_back(key);
  }
  table.columns.insert(table.columns.end(), names.begin(), names.end());
  for (ScanPage::Row& row : state.rows) {
    std::vector<std::string>& cells = table.rows.emplace_back();
    for (const std::string& column : table.columns) cells.push_back(std::move(row[column]));
    row.clear();
  }
  std::sort(table.rows.begin(), table.rows.end());
  return table;
}

std::string console_csv(const Table& table) {
  std::string csv;
  const auto append = [&](const std::vector<std::string>& cells) {
    bool first = true;
    for (const std::string& cell : cells) {
      csv += first ? "\"" : ",\"";
      first = false;
      for (const char c : cell) {
        if (c == '"') csv += '"';
        csv += c;
      }
      csv += '"';
    }
    csv += '\n';
  };
  append(table.columns);
  for (const std::vector<std::string>& row : table.rows) append(row);
  return csv;
}

}  // namespace aid::io::aws
