// What spaCy says of a text categorizer's predictions (spacy/scorer.py, Scorer.score_cats and ROCAUCScore):
//   p = tp / (tp + fp), r = tp / (tp + fn), f = 2 p r / (p + r), 1e-100 added below; micro of the sums of all labels,
//   macro the mean over all labels
//   auc of a label: the area under its ROC curve, 0 where its truth is all the same; macro_auc the mean over all labels
//   cats_score: macro f where labels exclude each other, else macro_auc
// Exclusive: the prediction is the label with the greatest score, the first of equals. Else each label by itself, from
// the threshold on.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace aid::train {

// "cats_score", "cats_micro_p", ..., "cats_macro_auc"
const std::vector<std::string>& score_names();

struct TextCatScores {
  int64_t labels = 0;
  bool exclusive = true;
  float threshold = 0.5f;         // not of exclusive ones
  std::span<const float> scores;  // [documents, labels]
  std::span<const float> truth;   // [documents, labels]: 0 or 1
  std::span<const float> known;  // [documents, labels]: 0 where the truth is not known, which leaves the cell out where
                                 // labels do not exclude each other; empty: all is known
};
std::map<std::string, double> score_cats(const TextCatScores& predicted);

}  // namespace aid::train
