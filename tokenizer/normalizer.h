#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/unicode.h"

namespace aid::tokenizer {

/// The options of `tokenizers`' BertNormalizer, strip_accents resolved, and ours.
struct NormalizerOptions {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  bool strip_accents = true;
  bool lowercase = true;
  bool nfc = false;  // compose first; Hugging Face's BERT tokenizers have no such step
};

/// BertNormalizer and BertPreTokenizer in one pass: raw text in, normalised words out, each byte with the code point
/// that it came from (normalizers/bert.rs, pre_tokenizers/bert.rs, tokenizer/normalizer.rs of huggingface/tokenizers).
/// Holds its working memory: one per thread.
class Normalizer {
 public:
  struct Word {
    uint32_t begin, end;  // bytes of text()
    uint32_t characters;
  };

  explicit Normalizer(const NormalizerOptions& options);

  /// Replaces the words by those of `raw`, whose first code point counts as number `first`; returns how many code
  /// points `raw` has.
  uint32_t split(std::string_view raw, uint32_t first);

  std::string_view text() const { return {text_.data(), size_}; }
  const std::vector<Word>& words() const { return words_; }
  /// For each byte of text(), the number of its code point in the raw text.
  const uint32_t* source() const { return source_.data(); }

 private:
  struct Mark {
    char32_t code_point;
    uint32_t source;
    uint8_t combining_class;
    bool inserted;  // not the first of its character's decomposition
  };

  /// What becomes of a code point whatever stands beside it.
  enum class Fate : uint8_t { kLetter, kPunctuation, kSpace, kRemoved, kDepends };
  struct Simple {
    uint16_t lowered;
    Fate fate;
  };
  static constexpr char32_t kSimpleCodePoints = 0x180;  // those of Western European languages

  Simple simple(char32_t code_point) const;
  void compose(std::string_view raw, uint32_t first);
  void take(char32_t code_point, uint32_t source);
  void decompose(char32_t code_point, uint32_t source);
  void place(char32_t code_point, uint32_t source, bool inserted);
  void flush_marks() {
    if (!marks_.empty()) sort_marks();
  }
  void sort_marks();
  void lower(char32_t code_point, uint32_t source);
  void append(char32_t code_point, uint32_t source);
  void add_to_word(char32_t code_point, uint32_t source);
  void end_word();

  NormalizerOptions options_;
  Unicode unicode_;
  Simple simple_[kSimpleCodePoints];
  std::vector<char> text_;  // and source_: as large as any chunk needed yet, of which size_ bytes are in use
  std::vector<uint32_t> source_;
  uint32_t size_ = 0;
  std::vector<Word> words_;
  Word word_{};
  std::vector<Mark> marks_;  // a run of combining marks that NFD has still to sort
  std::vector<uint32_t> mark_sources_;
  uint32_t last_source_ = 0;
};

}  // namespace aid::tokenizer
