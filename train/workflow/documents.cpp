#include "train/workflow/documents.h"

#include <algorithm>
#include <charconv>
#include <regex>
#include <stdexcept>

#include "io/error.h"
#include "io/file.h"
#include "io/results/csv_reader.h"
#include "io/text.h"

namespace aid::train::workflow {
namespace {

// std::regex knows no named groups: the names go, their numbers stay.
struct NamedRegex {
  std::string pattern;
  size_t doc = 0, page = 0;  // group numbers, 0: none

  explicit NamedRegex(const std::string& named) {
    size_t groups = 0;
    bool in_class = false;
    for (size_t i = 0; i < named.size(); ++i) {
      pattern += named[i];
      if (named[i] == '\\' && i + 1 < named.size()) {
        pattern += named[++i];
      } else if (named[i] == '[' || named[i] == ']') {
        in_class = named[i] == '[';
      } else if (named[i] == '(' && !in_class) {
        const size_t end = named.find('>', i);
        if (named.compare(i, 3, "(?<") == 0 && end != std::string::npos && named[i + 3] != '=' && named[i + 3] != '!') {
          const std::string name = named.substr(i + 3, end - i - 3);
          ++groups;
          if (name == "doc") doc = groups;
          if (name == "page") page = groups;
          i = end;
        } else if (named.compare(i, 2, "(?") != 0) {
          ++groups;
        }
      }
    }
  }
};

int64_t page_number(const std::string& text) {
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

struct Tally {
  int64_t votes = 0, scored = 0, lowest_page = 0;
  double score = 0;
};

double mean_score(const Tally& tally) { return tally.scored > 0 ? tally.score / static_cast<double>(tally.scored) : 0; }

// `better` says whether the first tally wins; of equals the label of the lowest page does.
template <class Better>
std::string best_of(const std::map<std::string, Tally>& tallies, Better&& better) {
  auto best = tallies.begin();
  for (auto it = tallies.begin(); it != tallies.end(); ++it) {
    const bool wins = better(it->second, best->second), loses = better(best->second, it->second);
    if (wins || (!loses && it->second.lowest_page < best->second.lowest_page)) best = it;
  }
  return best == tallies.end() ? "" : best->first;
}

std::string vote(const std::vector<PageVerdict>& pages) {
  std::map<std::string, Tally> tallies;
  for (size_t i = 0; i < pages.size(); ++i) {
    if (pages[i].label.empty()) continue;
    Tally& tally = tallies.try_emplace(pages[i].label, Tally{.lowest_page = static_cast<int64_t>(i)}).first->second;
    ++tally.votes;
    tally.scored += pages[i].score ? 1 : 0;
    tally.score += pages[i].score.value_or(0);
  }
  return best_of(tallies, [](const Tally& a, const Tally& b) {
    return a.votes != b.votes ? a.votes > b.votes : mean_score(a) > mean_score(b);
  });
}

std::string by_mean_score(const std::vector<PageVerdict>& pages) {
  std::map<std::string, Tally> tallies;
  for (size_t i = 0; i < pages.size(); ++i) {
    std::map<std::string, double> scores = pages[i].scores;
    if (scores.empty() && !pages[i].label.empty()) scores[pages[i].label] = *pages[i].score;
    for (const auto& [label, score] : scores)
      tallies.try_emplace(label, Tally{.lowest_page = static_cast<int64_t>(i)}).first->second.score += score;
  }
  return best_of(tallies, [](const Tally& a, const Tally& b) { return a.score > b.score; });
}

std::string by_max_score(const std::vector<PageVerdict>& pages) {
  const PageVerdict* best = nullptr;
  for (const PageVerdict& page : pages)
    if (!page.label.empty() && (best == nullptr || *page.score > *best->score)) best = &page;
  return best == nullptr ? "" : best->label;
}

}  // namespace

PageMap pages_by_regex(const Truth& truth, const std::string& pattern) {
  const NamedRegex named(pattern);
  if (named.doc == 0) throw std::invalid_argument("--doc-regex " + pattern + ": has no group (?<doc>...)");
  std::regex regex;
  try {
    regex = std::regex(named.pattern);
  } catch (const std::regex_error& error) {
    throw std::invalid_argument("--doc-regex " + pattern + ": not a regular expression: " + error.what());
  }
  PageMap pages;
  for (const TruthUnit& unit : truth.units) {
    std::smatch match;
    if (std::regex_match(unit.key, match, regex))
      pages[unit.key] = {.document = match[named.doc].str(), .number = page_number(match[named.page].str())};
  }
  // Without a group `page`, match[0] is the whole key, whose digits mean nothing.
  if (named.page == 0)
    for (auto& [key, page] : pages) page.number = 0;
  return pages;
}

PageMap read_page_map(const std::filesystem::path& file, const KeyRule& rule) {
  PageMap pages;
  const std::string text = io::decode_text(io::read_text(file)).utf8;
  bool header = true;
  for (const io::CsvRecord& record : io::parse_csv(text, io::sniff_delimiter(text), file.string())) {
    const std::string where = file.string() + ":" + std::to_string(record.line) + ": ";
    if (record.cells.size() != 3)
      throw io::Error(where + std::to_string(record.cells.size()) + " cells; expected 3: unit,document,page");
    if (header && record.cells != std::vector<std::string>{"unit", "document", "page"})
      throw io::Error(where + "expected the header unit,document,page");
    if (!header) {
      const Page page{.document = record.cells[1], .number = page_number(record.cells[2])};
      const auto [known, added] = pages.emplace(key_of(record.cells[0], rule), page);
      if (!added && known->second.document != page.document)
        throw io::Error(where + "'" + record.cells[0] + "' is in document '" + known->second.document + "' too");
    }
    header = false;
  }
  return pages;
}

std::string aggregate(const std::vector<PageVerdict>& pages, Aggregate how, const std::string& truth) {
  if (how == Aggregate::mean_score || how == Aggregate::max_score) {
    for (const PageVerdict& page : pages)
      if (!page.label.empty() && !page.score)
        throw io::Error(
            "--agg needs the score of every prediction; name its column with --score-col, or use --agg vote");
  }
  switch (how) {
    case Aggregate::vote:
      return vote(pages);
    case Aggregate::mean_score:
      return by_mean_score(pages);
    case Aggregate::max_score:
      return by_max_score(pages);
    case Aggregate::first:
      for (const PageVerdict& page : pages)
        if (!page.label.empty()) return page.label;
      return "";
    case Aggregate::any:
      for (const PageVerdict& page : pages)
        if (page.label == truth) return truth;
      return vote(pages);
  }
  return "";
}

}  // namespace aid::train::workflow
