// What is wrong with data sets, before a model is trained on them or measured by them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "train/dataset/version.h"

namespace aid::train::dataset {

enum class Severity : unsigned char { error, warning };

// One kind of finding about one version, or about two:
//   unusable               error    files that are empty, undecodable or cut short
//   left_out               warning  names in the splits' folders that are no examples: hidden, of another extension
//   synchronised           error    files that are not what `aid sync` brought: gone, of another size or MD5
//                          warning  files that it did not bring; a run of it that did not end
//   label_missing          error    typologies of an evaluation split that train lacks
//                          warning  typologies of train that an evaluation split lacks
//   leak                   error    files of an evaluation split that are in train, and of a later split that are in an
//                                   earlier one (train, val, test, ground truth): the same bytes
//                          warning  the same but for a few words
//   conflict               error    the same bytes under two typologies; warning: the same but for a few words
//   repeated               warning  files that repeat another of their split
//   truth_differs          error    muestras, todas and their unified forms do not hold the same files
//   imbalance              warning  the most frequent typology of train has more than 20 times the files of the rarest
//   shift                  warning  a split's shares of typologies differ from train's by more than 0.2 (total
//                                   variation distance: half the sum of the absolute differences)
//   leak_between_versions  warning  files of one version's evaluation splits that are in another version's train: the
//                                   two versions' models cannot be compared over them
//   relabelled             warning  files of which two versions name different typologies
struct Finding {
  Severity severity = Severity::error;
  std::string kind;
  std::string where;  // "text_model/data_v1", "text_model/data_v1 and text_model/data_v2"
  std::string text;   // one line
  struct Item {
    std::string file, other;           // below the version's folder; other: what it is like, or a reason
    std::optional<double> similarity;  // Jaccard, of near duplicates
  };
  std::vector<Item> items;
};

struct VerifyOptions {
  double near = 0.8;      // texts with at least this Jaccard similarity are near duplicates
  int shingle_words = 5;  // of shingles of so many words
};

// Exact duplicates are found by SHA-256, near ones among texts as near_duplicates.h says. Findings are sorted: by
// version, errors first.
std::vector<Finding> verify(const std::vector<Version>& versions, const VerifyOptions& options, const ThreadTeam& team);

}  // namespace aid::train::dataset
