#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aid::tokenizer {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool special = true;
};

/// Tokens that are cut out of the raw text before it is normalised, leftmost and longest first (added_vocabulary.rs of
/// huggingface/tokenizers). None holds white space, so that none spans two chunks of text.
class AddedTokens {
 public:
  struct Match {
    size_t begin, end;  // bytes
    int32_t id;
  };

  /// With `special_in_text` false, special tokens in the text are ordinary text (`encode_special_tokens` there).
  AddedTokens(std::vector<AddedToken> tokens, bool special_in_text);

  std::optional<Match> find(std::string_view text, size_t from) const;

 private:
  std::vector<AddedToken> tokens_;  // longest first
  std::string first_bytes_;
  bool special_in_text_;
};

}  // namespace aid::tokenizer
