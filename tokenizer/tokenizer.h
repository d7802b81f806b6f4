#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/chunk_cache.h"
#include "tokenizer/config.h"

namespace aid::tokenizer {

constexpr size_t kNoLimit = static_cast<size_t>(-1);

/// One sequence as a model reads it: [CLS] A [SEP], or [CLS] A [SEP] B [SEP].
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;  // 1 for B and the [SEP] after it, else 0
  std::vector<Offset> offsets;    // code points of the text as given; {0, 0} for [CLS] and [SEP]
  std::vector<uint8_t> special;   // 1 for [CLS] and [SEP], else 0
};

struct EncodeOptions {
  enum class Truncation { kLongestFirst, kOnlyFirst, kOnlySecond };
  enum class Direction { kRight, kLeft };  // which end is cut off

  size_t max_length = kNoLimit;  // tokens, [CLS] and [SEP] among them
  size_t stride = 0;             // tokens that a window shares with the one before
  Truncation truncation = Truncation::kLongestFirst;
  Direction direction = Direction::kRight;
};

/// Ids of many texts, packed one after the other, without [CLS] and [SEP].
struct Batch {
  std::unique_ptr<int32_t[]> ids;
  std::vector<size_t> begins;  // of each text in ids, and the end: one more than texts

  std::span<const int32_t> operator[](size_t text) const {
    return {ids.get() + begins[text], begins[text + 1] - begins[text]};
  }
};

/// How much of some texts the vocabulary does not know.
struct UnknownStats {
  int64_t tokens = 0;
  int64_t unknown = 0;  // of which are [UNK]
  /// Characters that no token of the vocabulary holds, normalised, with how often they stand in words that became
  /// [UNK]; the ten commonest, most first.
  std::vector<std::pair<char32_t, int64_t>> characters;
};

/// A BERT WordPiece tokenizer that gives the ids and offsets of Hugging Face's `tokenizers` 0.23, bit for bit.
/// Immutable; copies share everything; any thread may use one.
///
/// Texts are UTF-8. What is not valid is read as U+FFFD, one for each maximal bad sequence, which clean_text deletes.
/// Texts of 2 GiB and more are an Error.
class Tokenizer {
 public:
  /// Reads tokenizer.json, or else vocab.txt, with tokenizer_config.json and special_tokens_map.json where they are.
  /// Truncation and padding that tokenizer.json may state are left to the caller, as transformers leaves them. Throws
  /// Error for a file that is missing or broken, and for a tokenizer that cannot be reproduced exactly, naming the
  /// part.
  static Tokenizer load(const std::filesystem::path& model_dir, const LoadOptions& options = {});

  /// Writes the tokenizer's files into a model directory, unchanged but where LoadOptions decided otherwise;
  /// transformers' AutoTokenizer reads the same tokenizer from there (which knows no nfc).
  void save(const std::filesystem::path& model_dir) const;

  /// One more than the largest id.
  size_t vocab_size() const;
  int32_t cls_id() const;
  int32_t sep_id() const;
  int32_t unk_id() const;
  int32_t pad_id() const;  // -1 where the vocabulary has none
  /// The token of an id, empty for one that has none.
  const std::string& id_to_token(int32_t id) const;
  size_t model_max_length() const;  // kNoLimit where the files state none
  const NormalizerOptions& normalizer() const;

  /// Appends the ids of a text, without [CLS] and [SEP], and returns how many: at most `limit`, beyond which the text
  /// is not read. The fast path: nothing is allocated per word.
  size_t encode_ids(std::string_view text, std::vector<int32_t>& ids, size_t limit = kNoLimit) const;

  /// The same with each token's place in the text.
  size_t encode_ids(std::string_view text, std::vector<int32_t>& ids, std::vector<Offset>& offsets,
                    size_t limit = kNoLimit) const;

  /// The text, or pair of texts, as a model reads it, cut to max_length. The windows that the cut leaves over follow
  /// the first, in the order of `tokenizers`' Encoding.overflowing. Throws Error where max_length has no room for what
  /// the options ask (stride not shorter than a window, or the text to be cut too short).
  std::vector<Encoding> encode(std::string_view a, std::optional<std::string_view> b = std::nullopt,
                               const EncodeOptions& options = {}) const;

  /// encode_ids of many texts on `threads` threads; the result does not depend on how many.
  Batch encode_batch(std::span<const std::string_view> texts, int threads, size_t limit = kNoLimit) const;

  UnknownStats count_unknown(std::span<const std::string_view> texts, int threads) const;

 private:
  struct Shared;
  class Lease;

  explicit Tokenizer(std::shared_ptr<Shared> shared);

  std::shared_ptr<Shared> shared_;
};

}  // namespace aid::tokenizer
