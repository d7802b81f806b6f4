#include "tokenizer/spacy/splitter.h"

#include "tokenizer/utf8.h"

namespace aid::tokenizer::spacy {
namespace {

bool continues(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

}  // namespace

const Splitter::Tokens* Splitter::exception(std::string_view text) const {
  const auto found = rules_->exceptions.find(text);
  return found != rules_->exceptions.end() ? &found->second : nullptr;
}

bool Splitter::matches(const std::optional<Pattern>& pattern, std::string_view text) {
  return pattern && pattern->find(text, memory_);
}

// Bytes of the prefix. spaCy takes the length of what the pattern found and cuts that many code points off the front,
// wherever they were found; so it does at the end with suffixes.
size_t Splitter::prefix_of(std::string_view text) {
  const auto match = rules_->prefix ? rules_->prefix->find(text, memory_) : std::nullopt;
  if (!match) return 0;
  if (match->begin == 0) return match->end;
  size_t code_points = count_code_points(text.substr(match->begin, match->end - match->begin));
  size_t end = 0;
  for (; code_points > 0; --code_points) {
    do {
      ++end;
    } while (end < text.size() && continues(text[end]));
  }
  return end;
}

size_t Splitter::suffix_of(std::string_view text) {
  const auto match = rules_->suffix ? rules_->suffix->find(text, memory_) : std::nullopt;
  if (!match) return 0;
  size_t code_points = count_code_points(text.substr(match->begin, match->end - match->begin));
  size_t begin = text.size();
  for (; code_points > 0; --code_points) {
    do {
      --begin;
    } while (continues(text[begin]));
  }
  return text.size() - begin;
}

bool Splitter::has_affix(std::string_view text) {
  if (prefix_of(text) != 0 || suffix_of(text) != 0) return true;
  return rules_->infix && rules_->infix->find(text, memory_);
}

// _split_affixes(), whose conditions and their order are kept.
void Splitter::split(std::string_view chunk, bool exceptions, std::vector<Piece>& pieces) {
  pieces.clear();
  suffixes_.clear();
  Match middle{0, chunk.size()};
  const auto text = [&](size_t begin, size_t end) { return chunk.substr(begin, end - begin); };
  const auto is_exception = [&](size_t begin, size_t end) {
    return begin < end && exceptions && exception(text(begin, end)) != nullptr;
  };
  const auto take_prefix = [&](size_t length) {
    pieces.push_back({static_cast<uint32_t>(middle.begin), static_cast<uint32_t>(middle.begin + length), nullptr});
    middle.begin += length;
  };
  const auto take_suffix = [&](size_t length) {
    suffixes_.push_back({static_cast<uint32_t>(middle.end - length), static_cast<uint32_t>(middle.end), nullptr});
    middle.end -= length;
  };
  if (exceptions && exception(chunk) == nullptr && rules_->plain_chunks.contains(chunk)) exceptions = false;
  for (size_t last_size = 0; middle.begin < middle.end && middle.end - middle.begin != last_size;) {
    const std::string_view rest = text(middle.begin, middle.end);
    if (matches(rules_->token_match, rest) || is_exception(middle.begin, middle.end)) break;
    last_size = rest.size();
    const size_t prefix = prefix_of(rest);
    if (prefix != 0 && is_exception(middle.begin + prefix, middle.end)) {
      take_prefix(prefix);
      break;
    }
    const size_t suffix = suffix_of(rest.substr(prefix));
    if (suffix != 0 && is_exception(middle.begin, middle.end - suffix)) {
      take_suffix(suffix);
      break;
    }
    if (prefix != 0) take_prefix(prefix);
    if (suffix != 0) take_suffix(suffix);
  }
  if (middle.begin < middle.end) split_middle(chunk, middle, exceptions, pieces);
  pieces.insert(pieces.end(), suffixes_.rbegin(), suffixes_.rend());
}

// _attach_tokens()
void Splitter::split_middle(std::string_view chunk, Match middle, bool exceptions, std::vector<Piece>& pieces) {
  const std::string_view text = chunk.substr(middle.begin, middle.end - middle.begin);
  auto begin = static_cast<uint32_t>(middle.begin);
  const auto push = [&](size_t end, const std::string* norm = nullptr) {
    pieces.push_back({begin, static_cast<uint32_t>(end), norm});
    begin = static_cast<uint32_t>(end);
  };
  if (const Tokens* tokens = exceptions ? exception(text) : nullptr) {
    for (const auto& token : *tokens) push(begin + token.orth.size(), token.norm.empty() ? nullptr : &token.norm);
    return;
  }
  infixes_.clear();
  const bool whole = matches(rules_->token_match, text) || matches(rules_->url_match, text);
  if (!whole && rules_->infix) rules_->infix->find_all(text, memory_, infixes_);
  for (const Match& infix : infixes_) {
    if (infix.begin == 0) continue;
    if (middle.begin + infix.begin != begin) push(middle.begin + infix.begin);
    if (infix.begin != infix.end) push(middle.begin + infix.end);
  }
  if (begin != middle.end) push(middle.end);
}

}  // namespace aid::tokenizer::spacy
