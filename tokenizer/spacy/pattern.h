#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

// PCRE2's own names of its types, so that its header stays in pattern.cpp.
struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
struct pcre2_real_jit_stack_8;

namespace aid::tokenizer::spacy {

/// Bytes of a text: [begin, end).
struct Match {
  size_t begin, end;
  bool operator==(const Match&) const = default;
};

/// What a search works in; one per thread.
class PatternMemory {
 public:
  PatternMemory();

 private:
  friend class Pattern;
  struct Free {
    void operator()(pcre2_real_match_data_8* data) const;
    void operator()(pcre2_real_match_context_8* context) const;
    void operator()(pcre2_real_jit_stack_8* stack) const;
  };
  std::unique_ptr<pcre2_real_match_data_8, Free> data_;
  std::unique_ptr<pcre2_real_jit_stack_8, Free> stack_;
  std::unique_ptr<pcre2_real_match_context_8, Free> context_;
};

/// A pattern of Python's `re`, compiled by PCRE2. Immutable: any thread may use one, each with its own memory. Texts
/// are valid UTF-8. Where PCRE2 gives up on a text that makes it go back without end, Error.
class Pattern {
 public:
  enum class Where { kAnywhere, kAtBegin };  // re.search and re.finditer, or re.match

  /// Throws PatternError (python_pattern.h).
  Pattern(std::string_view python, Where where);

  std::optional<Match> find(std::string_view text, PatternMemory& memory) const { return find(text, 0, false, memory); }
  /// Every match as re.finditer gives them, empty ones among them.
  void find_all(std::string_view text, PatternMemory& memory, std::vector<Match>& matches) const;

 private:
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };
  std::optional<Match> find(std::string_view text, size_t from, bool must_advance, PatternMemory& memory) const;

  std::unique_ptr<pcre2_real_code_8, Free> code_;
};

}  // namespace aid::tokenizer::spacy
