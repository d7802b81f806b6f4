// Documents of several pages or files: which unit belongs to which, and one answer for all of them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "train/workflow/units.h"

namespace aid::train::workflow {

// What a document is called from its pages' labels. A page without a prediction has no say.
//   vote        the most frequent label; tie: the higher mean score; tie: the label of the lowest page
//   mean_score  the highest mean of the pages' scores (of every label where they are known, else of their own)
//   first       the lowest page's            max_score  the page's with the highest score
//   any         the true label where any page has it, else the vote: what a perfect choice could reach
enum class Aggregate : unsigned char { vote, mean_score, first, max_score, any };

struct Page {
  std::string document;
  int64_t number = 0;
};
// Pages by unit key. Units that it does not hold are documents of their own.
using PageMap = std::map<std::string, Page, std::less<>>;

// The named groups `doc` and `page` (an integer; may be missing) of an ECMAScript expression that a whole key matches.
// Throws std::invalid_argument for an expression that is none or has no group `doc`.
PageMap pages_by_regex(const Truth& truth, const std::string& pattern);
// CSV with the header unit,document,page. Throws io::Error.
PageMap read_page_map(const std::filesystem::path& file, const KeyRule& rule);

struct PageVerdict {
  int64_t page = 0;
  std::string label;  // empty: none
  std::optional<double> score;
  std::map<std::string, double> scores;
};
// pages: sorted by page. Empty where no page has a label. Throws io::Error where scores are needed and missing.
std::string aggregate(const std::vector<PageVerdict>& pages, Aggregate how, const std::string& truth);

}  // namespace aid::train::workflow
