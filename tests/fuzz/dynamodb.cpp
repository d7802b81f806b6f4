// A page of a DynamoDB scan.
#include "io/aws/dynamodb_page.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  fuzz::reads([&] { io::aws::parse_scan_page(fuzz::text_of(data, size)); });
  return 0;
}
