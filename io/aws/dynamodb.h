// Reading whole DynamoDB tables, and the CSV that the AWS console makes of them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/aws/error.h"
#include "io/aws/options.h"

namespace aid::io::aws {

struct TableInfo {
  std::string partition_key, sort_key;  // sort_key: empty where the table has none
  long long items = 0;                  // as counted by DynamoDB within the last hours
};

// "NAME OP VALUE", OP one of = <> < <= > >= begins_with contains, or "NAME exists", "NAME missing". VALUE is a number
// or true or false where it reads as one in JSON, else text; "5" in quotes is text. Throws Error.
struct Filter {
  std::string name, operation, value;
};
Filter parse_filter(const std::string& text);

struct ScanRequest {
  std::string table;
  std::vector<Filter> filters;  // all must hold
  int segments = 8;             // read in parallel
  int page_size = 0;            // items; 0: DynamoDB's 1 MB
  bool consistent = false;
};
struct ScanProgress {
  long long items = 0, scanned = 0, pages = 0;
  double capacity_units = 0;
};

// The items of a table as rows of text. A cell is empty where the item lacks the attribute; S, N and BOOL are plain, B
// is base64; SS, NS and BS are JSON arrays of texts; L and M are DynamoDB's own JSON ({"S": ...} around each value), as
// in the console's CSV; NULL is the text null.
struct Table {
  std::vector<std::string> columns;            // partition key, sort key, then the others by their bytes
  std::vector<std::vector<std::string>> rows;  // by the bytes of their keys, then of all cells
};

class DynamoDbClient {
 public:
  explicit DynamoDbClient(const ClientOptions& options = {});
  ~DynamoDbClient();
  DynamoDbClient(const DynamoDbClient&) = delete;
  DynamoDbClient& operator=(const DynamoDbClient&) = delete;

  TableInfo describe(const std::string& table);
  // The same table for any number of segments and any page size. `progress` is called after each page, one at a time.
  Table scan(const ScanRequest& request, const std::function<void(const ScanProgress&)>& progress = {});
  Statistics statistics() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

// The console's form: every cell quoted, "" where an attribute is missing, lines end in "\n".
std::string console_csv(const Table& table);

}  // namespace aid::io::aws
