#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aid::tokenizer {

/// Greedy longest-match-first WordPiece over a fixed vocabulary (models/wordpiece/mod.rs of huggingface/tokenizers; Wu
/// et al. 2016). The vocabulary is an open-addressing table of the pieces' prefix hashes.
class WordPiece {
 public:
  struct Options {
    std::string continuing_subword_prefix = "##";
    size_t max_input_chars_per_word = 100;
    int32_t unk_id = 0;
  };
  struct Piece {
    int32_t id;
    uint32_t begin, end;  // bytes of the word
  };
  struct Pieces {
    std::vector<Piece> found;
    std::vector<uint64_t> hashes;  // working memory
  };

  WordPiece(const std::vector<std::pair<std::string, int32_t>>& vocabulary, const Options& options);

  /// Replaces `pieces.found` by the pieces of one word of normalised UTF-8: a single unk_id where the vocabulary does
  /// not cover it or it is longer than max_input_chars_per_word.
  void tokenize(std::string_view word, size_t characters, Pieces& pieces) const;

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t id = -1;                 // -1: empty
    uint32_t begin = 0, length = 0;  // of the piece in text_
  };

  void insert(uint64_t seed, std::string_view piece, int32_t id);
  int32_t find(uint64_t hash, const char* piece, uint32_t length) const;

  Options options_;
  std::string text_;
  std::vector<Slot> slots_;
  int shift_;
  std::vector<uint64_t> filter_;  // one bit for each hash that some piece has: most misses go no further
  int filter_shift_;
  uint32_t longest_ = 0;  // bytes
};

}  // namespace aid::tokenizer
