// The two sides of the workflow's metrics: the truth, a folder per typology, and the predictions, rows of a results
// table; and how a row finds its file.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/results/results.h"
#include "train/workflow/labels.h"

namespace aid::train::workflow {

// What a file is known by on both sides, in Unicode NFC:
//   stem     its name without the last extension      name     its name
//   relpath  its path below the truth's folder; of a prediction, its path without s3://BUCKET/
//   regex    the first group (or all) of the match of `pattern` (ECMAScript) in its path
// A prediction's identifier is decoded as S3 notifications encode keys ("+" is a space, %XX) where no file is known by
// it as it is written.
enum class KeyKind : unsigned char { stem, name, relpath, regex };
struct KeyRule {
  KeyKind kind = KeyKind::stem;
  std::string pattern;
  bool ignore_case = false;
};
// "stem", "name", "relpath", "regex:PATTERN". Throws std::invalid_argument.
KeyRule key_rule_of(const std::string& text);
std::string key_of(const std::string& path, const KeyRule& rule);

struct TruthUnit {
  std::string key;
  std::filesystem::path file;
  std::string label;  // raw
};
struct Truth {
  std::filesystem::path folder;
  std::vector<TruthUnit> units;  // sorted by key
  int64_t same_key = 0;          // files that share key and typology with another: one unit
  int64_t ignored = 0;           // units whose label is ignored
  std::map<std::string, std::string> ignored_keys;
  std::string sha256;  // of "KEY<tab>LABEL" lines: which truth this was

  const TruthUnit* find(const std::string& key) const;
};
// Every file below DIR/TYPOLOGY/ that is not hidden. Throws io::Error for a key in two typologies (they are listed), a
// folder without files, names that are no UTF-8.
Truth read_truth(const std::filesystem::path& folder, const KeyRule& rule, const LabelMap& labels);

// What infer_label_map() does with a raw typology that went to several unified ones: refuses it with the table of them,
// or takes each file's own from the unified tree; `unified` then has the most frequent, the first of equals.
enum class Scattered : unsigned char { refused, per_file };
// The mapping that leads from one tree's typologies to the other's, over the files that both hold. Throws io::Error.
LabelMap infer_label_map(const std::filesystem::path& raw, const std::filesystem::path& unified, const KeyRule& rule,
                         const LabelRule& labels, Scattered scattered);

// Columns of the results (io/results/results.h: dotted paths); empty: not there.
struct Columns {
  std::string id, prediction, score, time;
};
// Fills what is empty: by the usual names, and among several by what the values match. Throws io::Error listing the
// candidates where it is not clear, and the columns there are for a name that is not among them. `score` and `time`
// may stay empty.
Columns choose_columns(const io::ResultsTable& results, const Columns& asked, const Truth& truth, const KeyRule& rule,
                       const LabelMap& labels);

struct Prediction {
  int line = 0;
  std::string label;                     // raw; empty: the row has none
  std::optional<double> score;           // of the label
  std::map<std::string, double> scores;  // of every raw label, where the results hold them
  std::string time;
};
// Which of several rows of one file counts. last, first: by the time column, else by the file's order; rows without a
// label count only where there is no other. majority: the most frequent label, of equals the last.
enum class Duplicates : unsigned char { last, first, majority, error };

struct Duplicate {
  std::string key;
  std::vector<std::string> labels;  // in the order of their rows
  std::string kept;
};
struct Predictions {
  std::map<std::string, Prediction> of_key;
  std::vector<Duplicate> duplicates;
  int64_t rows = 0, without_id = 0;
};
Predictions read_predictions(const io::ResultsTable& results, const Columns& columns, const Truth& truth,
                             const KeyRule& rule, const LabelMap& labels, Duplicates duplicates);

}  // namespace aid::train::workflow
