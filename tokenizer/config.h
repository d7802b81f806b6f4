#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/word_piece.h"

namespace aid::tokenizer {

/// What the files of a model do not say, or should not decide.
struct LoadOptions {
  std::optional<bool> lowercase;      // instead of do_lower_case; without either, true, as transformers has it
  std::optional<bool> strip_accents;  // instead of strip_accents; without either, whatever lowercase is
  bool nfc = false;                   // compose the text first: with accents kept, an "e" + U+0301 is [UNK] otherwise
  bool special_tokens_in_text =
      true;  // "[SEP]" in a text is the special token, as in transformers; off for untrusted text
};

/// All that the files say.
struct Config {
  std::vector<std::pair<std::string, int32_t>> vocabulary;  // each token once, ascending ids
  std::vector<AddedToken> added_tokens;
  NormalizerOptions normalizer;
  WordPiece::Options word_piece;
  int32_t cls_id = -1, sep_id = -1, pad_id = -1;  // pad_id: -1 where the vocabulary has none
  size_t model_max_length = static_cast<size_t>(-1);
  /// Names and bytes of the files to write beside a model trained with this tokenizer, so that transformers'
  /// AutoTokenizer reads it back the same.
  std::vector<std::pair<std::string, std::string>> files;
};

/// Reads tokenizer.json, or else vocab.txt, with tokenizer_config.json and special_tokens_map.json where they are.
/// Throws Error for what is missing or broken, and for any part that this library does not reproduce exactly.
Config read_config(const std::filesystem::path& model_dir, const LoadOptions& options);

/// Writes the files into `model_dir`, each under its name only once it is whole.
void write_files(const std::vector<std::pair<std::string, std::string>>& files, const std::filesystem::path& model_dir);

}  // namespace aid::tokenizer
