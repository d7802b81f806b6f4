#include "tokenizer/added_tokens.h"

#include <algorithm>

namespace aid::tokenizer {

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, bool special_in_text)
    : tokens_(std::move(tokens)), special_in_text_(special_in_text) {
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.content.size() > b.content.size(); });
  for (const AddedToken& token : tokens_) {
    if (first_bytes_.find(token.content[0]) == std::string::npos) first_bytes_ += token.content[0];
  }
}

std::optional<AddedTokens::Match> AddedTokens::find(std::string_view text, size_t from) const {
  while ((from = text.find_first_of(first_bytes_, from)) != std::string_view::npos) {
    const std::string_view rest = text.substr(from);
    const auto token = std::find_if(tokens_.begin(), tokens_.end(),
                                    [&](const AddedToken& candidate) { return rest.starts_with(candidate.content); });
    if (token == tokens_.end()) {
      ++from;
    } else if (token->special && !special_in_text_) {
      from += token->content.size();  // skipped whole, as `tokenizers` does
    } else {
      return Match{from, from + token->content.size(), token->id};
    }
  }
  return std::nullopt;
}

}  // namespace aid::tokenizer
