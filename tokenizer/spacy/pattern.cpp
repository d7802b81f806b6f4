#include "tokenizer/spacy/pattern.h"

#include <limits>
#include <new>
#include <string>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "tokenizer/error.h"
#include "tokenizer/spacy/python_pattern.h"

namespace aid::tokenizer::spacy {
namespace {

std::string message_of(int error) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

PCRE2_SPTR units(std::string_view text) {
  static constexpr char kEmpty = '\0';  // PCRE2 10.42 takes no null pointer, be the length 0
  return reinterpret_cast<PCRE2_SPTR>(text.data() != nullptr ? text.data() : &kEmpty);
}

}  // namespace

void PatternMemory::Free::operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
void PatternMemory::Free::operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
void PatternMemory::Free::operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
void Pattern::Free::operator()(pcre2_code* code) const { pcre2_code_free(code); }

PatternMemory::PatternMemory() {
  constexpr size_t kFirstStack = size_t{32} << 10, kLargestStack = size_t{8} << 20;
  data_.reset(pcre2_match_data_create(1, nullptr));  // no groups but the whole
  context_.reset(pcre2_match_context_create(nullptr));
  if (!data_ || !context_) throw std::bad_alloc();
  // Without JIT there is no stack, and none is needed.
  stack_.reset(pcre2_jit_stack_create(kFirstStack, kLargestStack, nullptr));
  if (stack_) pcre2_jit_stack_assign(context_.get(), nullptr, stack_.get());
  // Python knows no limit.
  pcre2_set_match_limit(context_.get(), std::numeric_limits<uint32_t>::max());
  pcre2_set_depth_limit(context_.get(), std::numeric_limits<uint32_t>::max());
}

Pattern::Pattern(std::string_view python, Where where) {
  const std::string pattern = pcre2_pattern(python);
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  if (!context) throw std::bad_alloc();
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  size_t at = 0;
  code_.reset(pcre2_compile(units(pattern), pattern.size(), PCRE2_UTF | (where == Where::kAtBegin ? PCRE2_ANCHORED : 0),
                            &error, &at, context.get()));
  if (!code_) throw PatternError("PCRE2 does not compile it: " + message_of(error));
  pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // where it cannot, pcre2_match() interprets
}

std::optional<Match> Pattern::find(std::string_view text, size_t from, bool must_advance, PatternMemory& memory) const {
  const uint32_t options = PCRE2_NO_UTF_CHECK | (must_advance ? PCRE2_NOTEMPTY_ATSTART : 0);
  const auto match = [&](uint32_t more) {
    return pcre2_match(code_.get(), units(text), text.size(), from, options | more, memory.data_.get(),
                       memory.context_.get());
  };
  int result = match(0);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = match(PCRE2_NO_JIT);
  if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (result < 0) {
    throw Error("a text without white space of " + std::to_string(text.size()) +
                " bytes is too much for the tokenizer's patterns (" + message_of(result) + "); split it");
  }
  const size_t* bounds = pcre2_get_ovector_pointer(memory.data_.get());
  return Match{bounds[0], bounds[1]};
}

void Pattern::find_all(std::string_view text, PatternMemory& memory, std::vector<Match>& matches) const {
  matches.clear();
  size_t from = 0;
  bool must_advance = false;
  while (const auto match = find(text, from, must_advance, memory)) {
    matches.push_back(*match);
    from = match->end;
    must_advance = match->begin == match->end;
  }
}

}  // namespace aid::tokenizer::spacy
