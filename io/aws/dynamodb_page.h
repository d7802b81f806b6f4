// Internal: one page of a scan, as DynamoDB answers it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace aid::io::aws {

struct ScanPage {
  using Row = std::map<std::string, std::string>;  // attribute -> cell, as Table says (io/aws/dynamodb.h)
  std::vector<Row> rows;
  std::string next;  // LastEvaluatedKey as JSON; empty: the segment is read
  long long scanned = 0;
  double capacity = 0;
};

// Throws Error for what is not whole, or not of DynamoDB's form.
ScanPage parse_scan_page(std::string_view body);

}  // namespace aid::io::aws
