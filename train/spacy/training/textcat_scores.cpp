#include "train/spacy/training/textcat_scores.h"

#include <algorithm>
#include <numeric>

namespace aid::train {
namespace {

constexpr double kAlmostNothing = 1e-100;

struct Counts {
  double right = 0, wrong = 0, missed = 0;

  double precision() const { return right / (right + wrong + kAlmostNothing); }
  double recall() const { return right / (right + missed + kAlmostNothing); }
  double f() const {
    const double p = precision(), r = recall();
    return 2 * p * r / (p + r + kAlmostNothing);
  }
};

// The share of pairs of a document with the label and one without that the scores tell apart; equal scores count half.
double area_under_roc(std::vector<std::pair<float, bool>> predictions) {
  std::sort(predictions.begin(), predictions.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  double below = 0, with = 0, area = 0;  // documents without the label so far
  for (size_t i = 0; i < predictions.size();) {
    double here_with = 0, here_without = 0;
    const float score = predictions[i].first;
    for (; i < predictions.size() && predictions[i].first == score; ++i)
      ++(predictions[i].second ? here_with : here_without);
    area += here_with * (below + here_without / 2);
    below += here_without;
    with += here_with;
  }
  return with > 0 && below > 0 ? area / (with * below) : 0;
}

}  // namespace

const std::vector<std::string>& score_names() {
  static const std::vector<std::string> names = {"cats_score",   "cats_micro_p", "cats_micro_r", "cats_micro_f",
                                                 "cats_macro_p", "cats_macro_r", "cats_macro_f", "cats_macro_auc"};
  return names;
}

std::map<std::string, double> score_cats(const TextCatScores& predicted) {
  const auto labels = static_cast<size_t>(predicted.labels);
  const auto is_known = [&](size_t cell) {
    return predicted.known.empty() || predicted.exclusive || predicted.known[cell] != 0;
  };
  std::vector<Counts> counts(labels);
  const size_t documents = predicted.truth.size() / labels;
  for (size_t d = 0; d < documents; ++d) {
    const auto scores = predicted.scores.subspan(d * labels, labels),
               truth = predicted.truth.subspan(d * labels, labels);
    const auto best = [](std::span<const float> row) { return std::max_element(row.begin(), row.end()) - row.begin(); };
    for (size_t k = 0; k < labels; ++k) {
      if (!is_known(d * labels + k)) continue;
      const bool said =
          predicted.exclusive ? best(scores) == static_cast<std::ptrdiff_t>(k) : scores[k] >= predicted.threshold;
      const bool is = predicted.exclusive ? best(truth) == static_cast<std::ptrdiff_t>(k) : truth[k] > 0;
      counts[k].right += said && is ? 1 : 0;
      counts[k].wrong += said && !is ? 1 : 0;
      counts[k].missed += !said && is ? 1 : 0;
    }
  }
  Counts all;
  double p = 0, r = 0, f = 0, auc = 0;
  for (size_t k = 0; k < labels; ++k) {
    all.right += counts[k].right;
    all.wrong += counts[k].wrong;
    all.missed += counts[k].missed;
    p += counts[k].precision();
    r += counts[k].recall();
    f += counts[k].f();
    std::vector<std::pair<float, bool>> predictions;
    for (size_t d = 0; d < documents; ++d) {
      const size_t cell = d * labels + k;
      if (is_known(cell)) predictions.emplace_back(predicted.scores[cell], predicted.truth[cell] == 1);
    }
    auc += area_under_roc(std::move(predictions));
  }
  const auto mean = [&](double sum) { return sum / (static_cast<double>(labels) + kAlmostNothing); };
  return {{"cats_score", predicted.exclusive ? mean(f) : mean(auc)},
          {"cats_micro_p", all.precision()},
          {"cats_micro_r", all.recall()},
          {"cats_micro_f", all.f()},
          {"cats_macro_p", mean(p)},
          {"cats_macro_r", mean(r)},
          {"cats_macro_f", mean(f)},
          {"cats_macro_auc", mean(auc)}};
}

}  // namespace aid::train
