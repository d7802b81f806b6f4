#include "tokenizer/spacy/special_cases.h"

#include <algorithm>

#include "tokenizer/spacy/chunks.h"
#include "tokenizer/spacy/splitter.h"

namespace aid::tokenizer::spacy {
namespace {

uint64_t edge(uint32_t node, uint32_t symbol) { return uint64_t{node} << 32 | symbol; }

}  // namespace

SpecialCases::SpecialCases(Rules& rules) : rules_(&rules) {
  Splitter splitter(rules);
  std::vector<Piece> pieces;
  for (const auto& [text, tokens] : rules.exceptions) {
    rules.plain_chunks.clear();
    if (rules.faster_heuristics && text.find(' ') == std::string::npos && !splitter.has_affix(text)) continue;
    std::vector<std::string> words;
    for_each_chunk(text, [&](const Chunk& chunk) {
      splitter.split_plainly(chunk.text, pieces);
      for (const Piece& piece : pieces) words.emplace_back(chunk.text.substr(piece.begin, piece.end - piece.begin));
      rules.plain_chunks.emplace(chunk.text);
    });
    add(words);
  }
}

void SpecialCases::add(const std::vector<std::string>& words) {
  uint32_t node = kRoot;
  for (const std::string& word : words) {
    const auto [known, is_new] = symbols_.try_emplace(string_id(word), static_cast<uint32_t>(words_.size()));
    if (is_new) words_.push_back(word);
    const auto [to, is_new_edge] = edges_.try_emplace(edge(node, known->second), static_cast<uint32_t>(ends_.size()));
    if (is_new_edge) ends_.push_back(false);
    node = to->second;
  }
  ends_[node] = true;
}

uint32_t SpecialCases::next(uint32_t node, uint32_t symbol) const {
  if (symbol == 0) return kRoot;
  const auto found = edges_.find(edge(node, symbol));
  return found != edges_.end() ? found->second : kRoot;
}

void SpecialCases::find(const std::vector<Token>& tokens, std::vector<Found>& found) const {
  found.clear();
  std::vector<Span> spans;
  for (size_t begin = 0; begin < tokens.size(); ++begin) {
    uint32_t node = next(kRoot, tokens[begin].symbol);
    for (size_t end = begin + 1; node != kRoot; ++end) {
      if (ends_[node]) spans.push_back({begin, end});
      if (end == tokens.size()) break;
      node = next(node, tokens[end].symbol);
    }
  }
  // The longest first, then the leftmost. One that is rejected takes its tokens all the same.
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return a.end - a.begin != b.end - b.begin ? a.end - a.begin > b.end - b.begin : a.begin < b.begin;
  });
  std::vector<bool> taken(spans.empty() ? 0 : tokens.size());
  for (const Span& span : spans) {
    if (!taken[span.begin] && !taken[span.end - 1]) {
      // The same words with other spaces between them are no exception.
      std::string text;
      for (size_t i = span.begin; i < span.end; ++i) {
        text += words_[tokens[i].symbol];
        if (tokens[i].space && i + 1 < span.end) text += ' ';
      }
      const auto exception = rules_->exceptions.find(text);
      if (exception != rules_->exceptions.end()) found.push_back({span.begin, span.end, &exception->second});
    }
    std::fill(taken.begin() + static_cast<std::ptrdiff_t>(span.begin),
              taken.begin() + static_cast<std::ptrdiff_t>(span.end), true);
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.begin < b.begin; });
}

}  // namespace aid::tokenizer::spacy
