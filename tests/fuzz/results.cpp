// The workflow's results in every form: CSV, JSON, JSON lines, DynamoDB's typed values, gzip.
#include "io/results/results.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  fuzz::reads([&] {
    const io::ResultsTable table = io::parse_results(std::string(fuzz::text_of(data, size)), "fuzz");
    for (const io::ResultRow& row : table.rows)
      for (const auto& [name, value] : row.values) AID_FUZZ_CHECK(!value.empty());
  });
  return 0;
}
