// Texts -> token sequences that the model takes, however long the text is.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/core/thread_team.h"
#include "tokenizer/tokenizer.h"

namespace aid::train {

// What becomes of a text with more than `max_length - 2` tokens (a sequence also holds [CLS] and [SEP]).
enum class LongPolicy : uint8_t {
  head,       // its first tokens (transformers' truncation); the rest is not even read
  tail,       // its last tokens
  head_tail,  // of 510: the first 128 and the last 382 (Sun et al. 2019, arXiv:1905.05583, 5.3.1); scaled for other
              // lengths
  windows,    // all of them, in overlapping sequences of max_length; the document's logits are the mean of theirs
};
const char* name_of(LongPolicy policy);  // "head", "tail", "head-tail", "windows"
std::optional<LongPolicy> long_policy_from_name(std::string_view name);

struct LongOptions {
  LongPolicy policy = LongPolicy::head;
  int64_t max_length = 512;  // tokens of a sequence, [CLS] and [SEP] included
  int64_t stride = 128;      // windows: tokens that neighbours share, as in transformers' `stride`
  int64_t max_windows = 0;   // windows: at most so many a text, the rest is not read; 0: any number
};

// Sequences of many texts, one after the other.
struct EncodedTexts {
  std::vector<int32_t> ids;                // of all sequences, each with its [CLS] and [SEP]
  std::vector<int64_t> sequence_begin{0};  // [sequences + 1], into ids
  std::vector<int64_t> first_sequence{
      0};           // [texts + 1]: text t has the sequences [first_sequence[t], first_sequence[t + 1])
  int64_t cut = 0;  // texts that lost tokens

  int64_t texts() const { return static_cast<int64_t>(first_sequence.size()) - 1; }
  int64_t sequences() const { return static_cast<int64_t>(sequence_begin.size()) - 1; }
  std::span<const int32_t> sequence(int64_t s) const {
    return std::span(ids).subspan(static_cast<size_t>(sequence_begin[s]),
                                  static_cast<size_t>(sequence_begin[s + 1] - sequence_begin[s]));
  }
  void append(const EncodedTexts& other);
};

class TextEncoder {
 public:
  // The tokenizer must outlive the encoder. Throws std::invalid_argument where the options leave no room for a token.
  TextEncoder(const tokenizer::Tokenizer& tokenizer, const LongOptions& options);

  const LongOptions& options() const { return options_; }

  // Appends one text. A text without tokens is [CLS][SEP].
  void encode(std::string_view utf8, EncodedTexts& out) const;
  // All texts, shared out to the team; the result does not depend on its size.
  EncodedTexts encode(std::span<const std::string> utf8, const ThreadTeam& team) const;

 private:
  const tokenizer::Tokenizer* tokenizer_;
  LongOptions options_;
};

}  // namespace aid::train
