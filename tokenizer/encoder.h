#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/chunk_cache.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/word_piece.h"

namespace aid::tokenizer {

/// What every thread shares.
struct Model {
  NormalizerOptions normalizer;
  WordPiece word_piece;
  AddedTokens added_tokens;
};

/// Turns raw text into ids, one thread's: it owns the cache and all working memory.
///
/// The unit is the chunk: what stands between ASCII white space. Nothing in the pipeline looks across such a space, so
/// a chunk always has the same tokens and the cache may be asked before anything is normalised. A stretch of text is
/// cut into chunks whole before the first of them is looked up: two short loops whose branches predict well.
class Encoder {
 public:
  static constexpr size_t kNoLimit = static_cast<size_t>(-1);

  explicit Encoder(const Model& model);

  /// Appends the text's ids, and its offsets unless null, and stops reading once `limit` tokens are there. Returns how
  /// many it appended.
  size_t encode(std::string_view text, size_t limit, std::vector<int32_t>& ids, std::vector<Offset>* offsets);

 private:
  static constexpr size_t kStretch = 2048;  // bytes of text cut into chunks at a time
  static constexpr size_t kSpare = 1024;    // tokens of chunks with more than lie in a slot

  template <bool kWithOffsets>
  size_t run(std::string_view text, size_t limit, std::vector<int32_t>& ids, std::vector<Offset>* offsets);
  uint32_t encode_new(std::string_view chunk);
  uint32_t encode_words(std::string_view raw, uint32_t first);

  const Model* model_;
  ChunkCache cache_;
  Normalizer normalizer_;
  WordPiece::Pieces pieces_;
  std::vector<uint32_t> edges_;  // of a stretch's chunks: begin, end, begin, end...
  std::vector<ChunkCache::Key> keys_;
  std::vector<int32_t> stretch_ids_;
  std::vector<Offset> stretch_offsets_;
  // The last chunk that the cache did not know.
  std::vector<int32_t> chunk_ids_;
  std::vector<Offset> chunk_offsets_;
};

}  // namespace aid::tokenizer
