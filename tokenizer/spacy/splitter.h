#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/spacy/rules.h"

namespace aid::tokenizer::spacy {

/// A token of a chunk: bytes of it, and the NORM that an exception gives, or null.
struct Piece {
  uint32_t begin, end;
  const std::string* norm;
};

/// Takes chunks apart by the rules (spacy/tokenizer.pyx). What becomes of a chunk does not depend on what stands around
/// it. Holds its working memory: one per thread.
class Splitter {
 public:
  explicit Splitter(const Rules& rules) : rules_(&rules) {}

  /// Replaces `pieces` by the tokens of a chunk of valid UTF-8.
  void split(std::string_view chunk, std::vector<Piece>& pieces) { split(chunk, true, pieces); }
  /// The same as if there were no exceptions.
  void split_plainly(std::string_view chunk, std::vector<Piece>& pieces) { split(chunk, false, pieces); }
  /// Whether a text has a prefix, an infix or a suffix.
  bool has_affix(std::string_view text);

 private:
  using Tokens = std::vector<Rules::ExceptionToken>;

  void split(std::string_view chunk, bool exceptions, std::vector<Piece>& pieces);
  void split_middle(std::string_view chunk, Match middle, bool exceptions, std::vector<Piece>& pieces);
  const Tokens* exception(std::string_view text) const;
  bool matches(const std::optional<Pattern>& pattern, std::string_view text);
  size_t prefix_of(std::string_view text);
  size_t suffix_of(std::string_view text);

  const Rules* rules_;
  PatternMemory memory_;
  std::vector<Match> infixes_;
  std::vector<Piece> suffixes_;
};

}  // namespace aid::tokenizer::spacy
