#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/spacy/rules.h"

namespace aid::tokenizer::spacy {

/// Finds exceptions that tokens make up together, as "EE. UU." or the ":)" in "(:)": the last pass of the tokenizer
/// (spacy/tokenizer.pyx, _apply_special_cases; spacy/matcher/phrasematcher.pyx). Immutable.
///
/// A word that stands in such an exception has a symbol, others have 0: what cannot be part of one is told by that.
class SpecialCases {
 public:
  struct Token {
    uint32_t symbol;
    bool space;
  };
  struct Found {
    size_t begin, end;  // tokens
    const std::vector<Rules::ExceptionToken>* replacement;
  };

  /// Also fills rules.plain_chunks: spaCy splits each exception once to know its words, and its cache keeps what it
  /// made of the last one's, which has no exception in it. Keeps a pointer to the rules.
  explicit SpecialCases(Rules& rules);

  uint32_t symbol(uint64_t orth) const {
    const auto found = symbols_.find(orth);
    return found != symbols_.end() ? found->second : 0;
  }

  /// Replaces `found` by the exceptions among a text's tokens, in order and apart.
  void find(const std::vector<Token>& tokens, std::vector<Found>& found) const;

 private:
  static constexpr uint32_t kRoot = 0;
  struct Span {
    size_t begin, end;
  };

  void add(const std::vector<std::string>& words);
  uint32_t next(uint32_t node, uint32_t symbol) const;

  const Rules* rules_;
  std::unordered_map<uint64_t, uint32_t> symbols_;  // by orth
  std::vector<std::string> words_{""};              // by symbol
  std::unordered_map<uint64_t, uint32_t> edges_;    // node and symbol to node
  std::vector<bool> ends_{false};                   // whether a pattern ends at a node
};

}  // namespace aid::tokenizer::spacy
