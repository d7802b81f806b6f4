// `aid results` against a table on loopback.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>

#include "tests/io/aws/fault_server.h"
#include "tests/tools/program.h"

namespace aid::tools {
namespace {

using io::aws::test::answer;
using io::aws::test::FaultServer;
using io::aws::test::Reply;
using io::test::contains;
using io::test::TemporaryFolder;
using nlohmann::json;
using test::Outcome;
using test::quoted;
using test::run_aid;

constexpr size_t kItems = 50'000;

std::string id_of(size_t i) { return "raw/documento " + std::to_string(100'000 + i) + ".pdf"; }
std::string label_of(size_t i) { return i % 3 == 0 ? "acta, \"copia\"" : i % 3 == 1 ? "cédula" : "ley"; }

// The table's answers as DynamoDB gives them: at most 1,000 items a page, fewer where asked; a segment holds every
// TotalSegments-th item; each 40th request is throttled first.
class DynamoDb {
 public:
  Reply operator()(const std::string& request, int count) {
    const json body = json::parse(request.substr(request.find("\r\n\r\n") + 4));
    signed_requests += contains(request, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") ? 1 : 0;
    if (body["TableName"] != "resultados")
      return error(R"({"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"no table"})");
    if (contains(request, "DynamoDB_20120810.DescribeTable")) {
      return reply(
          {{"Table", {{"KeySchema", {{{"AttributeName", "id"}, {"KeyType", "HASH"}}}}, {"ItemCount", kItems}}}});
    }
    if (count % 40 == 39)
      return error(
          R"({"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"m"})");
    const size_t segments = body.value("TotalSegments", 1u), segment = body.value("Segment", 0u);
    const size_t limit = std::min<size_t>(body.value("Limit", 1000u), 1000);
    size_t next = segment;
    if (body.contains("ExclusiveStartKey"))
      next = std::stoul(body["ExclusiveStartKey"]["id"]["S"].get<std::string>().substr(14)) - 100'000 + segments;
    json items = json::array();
    size_t scanned = 0, last = next;
    for (; next < kItems && scanned < limit; next += segments, ++scanned) {
      last = next;
      // What a filter rejects has been scanned: pages may be empty.
      const bool wanted = !body.contains("FilterExpression") || label_of(next) == "ley";
      if (wanted) items.push_back(item(next));
    }
    if (body.contains("FilterExpression")) {
      const std::lock_guard lock(mutex_);
      filter_ = body;
    }
    ++pages;
    json page{{"Items", items}, {"Count", items.size()}, {"ScannedCount", scanned}};
    page["ConsumedCapacity"] = {{"TableName", "resultados"}, {"CapacityUnits", 0.5}};
    if (next < kItems) page["LastEvaluatedKey"] = {{"id", {{"S", id_of(last)}}}};
    return reply(page);
  }

  json filter() {
    const std::lock_guard lock(mutex_);
    return filter_;
  }
  std::atomic<int> pages{0}, signed_requests{0};

 private:
  static bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
  static json item(size_t i) {
    json item{{"id", {{"S", id_of(i)}}}, {"clase", {{"S", label_of(i)}}}, {"paginas", {{"N", std::to_string(i % 7)}}}};
    if (i % 5 == 0) item["revisado"] = {{"BOOL", i % 2 == 0}};
    return item;
  }
  static Reply reply(const json& body) { return {.bytes = answer(200, "", body.dump())}; }
  static Reply error(const std::string& body) { return {.bytes = answer(400, "", body)}; }

  std::mutex mutex_;
  json filter_;  // of the last request that had one
};

std::string expected_csv() {
  std::string csv = "\"id\",\"clase\",\"paginas\",\"revisado\"\n";
  for (size_t i = 0; i < kItems; ++i) {
    const std::string label = i % 3 == 0 ? "acta, \"\"copia\"\"" : label_of(i);
    const std::string reviewed = i % 5 > 0 ? "" : i % 2 == 0 ? "true" : "false";
    csv += "\"" + id_of(i) + "\",\"" + label + "\",\"" + std::to_string(i % 7) + "\",\"" + reviewed + "\"\n";
  }
  return csv;
}

class Results : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI-SECRET", 1);
    ::setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    ::setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
  }
  Outcome run(const std::string& more) {
    return run_aid("results --region eu-west-1 --endpoint-url " + server.url() + " " + more);
  }

  DynamoDb table;
  FaultServer server{[this](const std::string& request, int count) { return table(request, count); }};
  TemporaryFolder folder;
};

TEST_F(Results, AWholeTableInManyPages) {
  const std::string expected = expected_csv();
  const Outcome run_of_eight = run("--table resultados --out " + quoted(folder / "results.csv"));
  ASSERT_EQ(run_of_eight.status, 0) << run_of_eight.err;
  EXPECT_TRUE(io::read_text(folder / "results.csv") == expected);
  EXPECT_GE(table.pages.load(), 50);
  EXPECT_GE(table.signed_requests.load(), table.pages.load());
  EXPECT_TRUE(contains(run_of_eight.err,
                       "50000 items, 4 columns; 50000 scanned in " + std::to_string(table.pages) + " pages, "))
      << run_of_eight.err;
  EXPECT_EQ(run_of_eight.err.find("wJalr"), std::string::npos);

  // The same file, whichever way the table was read; stdout too.
  const Outcome other = run("--table resultados --segments 1 --page-size 777 --quiet --no-sign-request --out -");
  EXPECT_EQ(other.status, 0) << other.err;
  EXPECT_TRUE(other.out == expected);
  EXPECT_EQ(other.err, "");
}

TEST_F(Results, FiltersAreTheServersAndPagesMayBeEmpty) {
  const Outcome filtered =
      run("--table resultados --segments 3 --filter 'clase = ley' --filter 'paginas exists' --out -");
  ASSERT_EQ(filtered.status, 0) << filtered.err;
  // Header, and each third item: one segment holds them all, the others' pages are empty.
  EXPECT_EQ(std::count(filtered.out.begin(), filtered.out.end(), '\n'), 1 + kItems / 3);
  const json filter = table.filter();
  EXPECT_EQ(filter["FilterExpression"], "#n0 = :v0 AND attribute_exists(#n1)");
  EXPECT_EQ(filter["ExpressionAttributeNames"], (json{{"#n0", "clase"}, {"#n1", "paginas"}}));
  EXPECT_EQ(filter["ExpressionAttributeValues"][":v0"], (json{{"S", "ley"}}));
}

TEST_F(Results, WhatIsWrongIsNamedAndNothingIsWritten) {
  const Outcome missing = run("--table nadie --out " + quoted(folder / "results.csv"));
  EXPECT_EQ(missing.status, 2);
  EXPECT_TRUE(contains(missing.err, "table 'nadie'"));
  EXPECT_TRUE(contains(missing.err, "ResourceNotFoundException"));
  EXPECT_FALSE(std::filesystem::exists(folder / "results.csv"));
  const Outcome filter = run("--table resultados --filter 'clase ley'");
  EXPECT_EQ(filter.status, 2);
  EXPECT_TRUE(contains(filter.err, "the filter 'clase ley' is not NAME OP VALUE"));
  EXPECT_EQ(run("--out x").status, 2);  // no table
}

}  // namespace
}  // namespace aid::tools
