// The results table of the workflow, whichever way it was exported:
//   - CSV of the DynamoDB console, the old ("name (S)" headers) and the new one (plain headers, cells of JSON), and
//     as Excel saves it again (; or tab, byte order mark, UTF-16, Windows-1252); CSV of `aid predict` and `aid results`
//   - JSON of `aws dynamodb scan|query --output json` ({"Items": [...]}), or an array of objects
//   - JSON lines: DynamoDB's export to S3 ({"Item": {...}}), `aid predict`, plain objects
// each also compressed with gzip. Which one it is, is read from the content, not from the file's name.
//
// An item is flattened to its leaves: maps become "resultado.clase", lists and sets "pages[0].label", and values are
// text (numbers as written, true, false). DynamoDB's typed values {"S": "x"} are unwrapped at every depth. An attribute
// that is missing, null or empty has no leaf. A cell that cannot be decoded stays as it is written.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace aid::io {

struct ResultRow {
  int line = 0;  // of the file, from 1; of an item in a JSON document: its number
  std::map<std::string, std::string, std::less<>> values;
};

struct ResultsTable {
  std::string name;                  // the file
  std::string format;                // "CSV (old DynamoDB console)"...
  std::string sha256;                // of the file as it is
  std::vector<std::string> columns;  // every leaf that occurs, in the order of first appearance
  std::vector<ResultRow> rows;
  std::vector<std::string> notes;  // what the user should know of the reading
};

// Throws Error naming the file and line.
ResultsTable read_results(const std::filesystem::path& file);
ResultsTable parse_results(std::string bytes, const std::string& name);

}  // namespace aid::io
