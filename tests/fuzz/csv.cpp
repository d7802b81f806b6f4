// CSV: what is read and written again is read the same.
#include "io/csv.h"

#include "io/results/csv_reader.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  const std::string_view text = fuzz::text_of(data, size);
  std::vector<io::CsvRecord> records;
  if (!fuzz::reads([&] { records = io::parse_csv(text, io::sniff_delimiter(text), "fuzz"); })) return 0;
  std::string written;
  for (const io::CsvRecord& record : records) io::append_csv_record(written, record.cells);
  const std::vector<io::CsvRecord> again = io::parse_csv(written, ',', "again");
  // A record of one empty cell is written as an empty line, which is passed over.
  size_t i = 0;
  for (const io::CsvRecord& record : records) {
    if (record.cells.size() == 1 && record.cells[0].empty()) continue;
    AID_FUZZ_CHECK(i < again.size() && again[i].cells == record.cells);
    ++i;
  }
  AID_FUZZ_CHECK(i == again.size());
  return 0;
}
