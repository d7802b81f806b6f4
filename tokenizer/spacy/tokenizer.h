#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/chunk_cache.h"
#include "tokenizer/spacy/lexeme.h"
#include "tokenizer/spacy/special_cases.h"
#include "tokenizer/spacy/splitter.h"

namespace aid::tokenizer::spacy {

struct Chunk;

struct Token {
  Lexeme lexeme;
  Offset offset;  // code points of the text
  bool space;     // whether a space that is part of no token follows: token.whitespace_
};

/// The tokenizer of a spaCy 3 pipeline: the tokens, with the ids of their attributes, that spacy.load(folder) makes,
/// exactly (spacy/tokenizer.pyx).
///
/// One thread's: it remembers the chunks that it has seen, within bounds. Copies share the rules and nothing else.
/// Texts are UTF-8; what is not valid is read as U+FFFD, one for each maximal bad sequence. Error for texts of 2^30
/// code points and more, which spaCy refuses too.
class Tokenizer {
 public:
  /// Throws Error as read_rules() does.
  static Tokenizer load(const std::filesystem::path& folder);

  Tokenizer(const Tokenizer& other) : Tokenizer(other.model_) {}
  Tokenizer(Tokenizer&&) = default;
  Tokenizer& operator=(const Tokenizer&) = delete;
  Tokenizer& operator=(Tokenizer&&) = default;
  ~Tokenizer() = default;

  /// Replaces `tokens` by those of a text.
  void tokenize(std::string_view text, std::vector<Token>& tokens);

 private:
  // A word, or one whose NORM an exception has set.
  struct Word {
    Lexeme lexeme;
    uint32_t symbol;  // SpecialCases'
  };
  struct Placed {
    uint32_t word;
    Offset offset;
    bool space;
  };
  struct Model;

  explicit Tokenizer(std::shared_ptr<const Model> model);

  void forget();
  uint32_t word_of(std::string_view text, const std::string* norm);
  void place(const Chunk& chunk);
  void split_new(std::string_view chunk);
  void apply_special_cases();

  std::shared_ptr<const Model> model_;
  Splitter splitter_;
  ChunkCache cache_;  // its ids are numbers of words_
  std::vector<Word> words_;
  std::unordered_map<std::string, uint32_t> numbers_;
  std::unordered_map<const std::string*, uint32_t> numbers_with_norm_;  // by the exception's NORM
  // Of the text at hand.
  std::vector<Placed> placed_;
  bool special_ = false;  // whether a word with a symbol is among them
  // Of the chunk at hand.
  std::vector<Piece> pieces_;
  std::vector<int32_t> chunk_words_;
  std::vector<Offset> chunk_offsets_;
};

}  // namespace aid::tokenizer::spacy
