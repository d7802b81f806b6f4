#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tokenizer/spacy/lexeme.h"
#include "tokenizer/spacy/pattern.h"

namespace aid::tokenizer::spacy {

/// What the files of a pipeline say of its tokenizer.
struct Rules {
  struct ExceptionToken {
    std::string orth;
    std::string norm;  // empty: the word's own
  };

  std::optional<Pattern> prefix, suffix, infix, token_match, url_match;  // none: never matches
  // Chunks whose tokens are stated, which joined are the chunk. By code points, as Python sorts strings.
  std::map<std::string, std::vector<ExceptionToken>, std::less<>> exceptions;
  // Whether only exceptions that an affix may split are looked for across chunks.
  bool faster_heuristics = true;
  Norms norms;
  // Chunks that are split as if there were no exceptions: see SpecialCases.
  std::set<std::string, std::less<>> plain_chunks;
};

/// Whether a folder is a spaCy pipeline's: it has a config.cfg.
bool is_pipeline(const std::filesystem::path& folder);

/// Reads config.cfg, tokenizer and vocab/lookups.bin. Throws Error for a file that is missing or broken and for a
/// tokenizer that the files do not state whole: one of another class, of a language with code of its own, or that
/// callbacks may change; and for patterns that are not reproduced (python_pattern.h).
Rules read_rules(const std::filesystem::path& folder);

}  // namespace aid::tokenizer::spacy
