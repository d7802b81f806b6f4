#include "tokenizer/encoder.h"

#include <emmintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "tokenizer/error.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer {
namespace {

// Positions in a text are 32 bits wide.
constexpr size_t kLongestText = size_t{1} << 31;
constexpr size_t kBlock = 64;

// One bit for each of 64 bytes that is a space, \t, \n or \r: BERT splits at these whatever its options.
uint64_t white_space(const char* block) {
  uint64_t bits = 0;
  for (size_t i = 0; i < kBlock / 16; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + i);
    const auto is = [&](char c) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)); };
    const __m128i found = _mm_or_si128(_mm_or_si128(is(' '), is('\n')), _mm_or_si128(is('\t'), is('\r')));
    bits |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(found))) << (16 * i);
  }
  return bits;
}

// Writes where text[begin, end) changes between white space and not, and returns the end of what it wrote. `space` is
// whether the byte before `begin` was white space, and becomes whether the last one is.
uint32_t* cut(std::string_view text, size_t begin, size_t end, uint64_t& space, uint32_t* edge) {
  for (size_t at = begin; at < end; at += kBlock) {
    uint64_t bits;
    if (text.size() - at >= kBlock) {
      bits = white_space(text.data() + at);
    } else {
      char last[kBlock] = {};
      std::memcpy(last, text.data() + at, text.size() - at);
      bits = white_space(last);
    }
    uint64_t changes = bits ^ (bits << 1 | space);
    space = bits >> 63;
    for (; changes != 0; changes &= changes - 1) {
      *edge++ = static_cast<uint32_t>(at) + static_cast<uint32_t>(std::countr_zero(changes));
    }
  }
  return edge;
}

}  // namespace

Encoder::Encoder(const Model& model)
    : model_(&model),
      normalizer_(model.normalizer),
      edges_(kStretch + 2 * kBlock),
      keys_(edges_.size() / 2),
      stretch_ids_(4 * edges_.size() / 2 + kSpare),
      stretch_offsets_(stretch_ids_.size()) {}

size_t Encoder::encode(std::string_view text, size_t limit, std::vector<int32_t>& ids, std::vector<Offset>* offsets) {
  if (text.size() >= kLongestText) {
    throw Error("a text of " + std::to_string(text.size()) +
                " bytes: the tokenizer takes up to 2 GiB at once; split it");
  }
  return offsets != nullptr ? run<true>(text, limit, ids, offsets) : run<false>(text, limit, ids, nullptr);
}

template <bool kWithOffsets>
size_t Encoder::run(std::string_view text, size_t limit, std::vector<int32_t>& ids, std::vector<Offset>* offsets) {
  const size_t first = ids.size();
  const size_t first_offset = kWithOffsets ? offsets->size() : 0;
  const char* const end_of_text = text.data() + text.size();
  uint64_t space = 1;
  uint32_t continuation_bytes = 0;  // before the chunk: bytes less code points
  uint32_t* edge = edges_.data();
  for (size_t at = 0; at < text.size() && ids.size() - first < limit;) {
    const size_t stop = std::min(at + kStretch, text.size());
    edge = cut(text, at, stop, space, edge);
    at = stop;
    const bool open = (edge - edges_.data()) % 2 != 0;
    if (open && at == text.size()) *edge++ = static_cast<uint32_t>(at);

    int32_t* id = stretch_ids_.data();
    Offset* offset = stretch_offsets_.data();
    size_t spare = kSpare;
    const auto flush = [&] {
      if constexpr (kWithOffsets) {
        offsets->insert(offsets->end(), stretch_offsets_.data(), offset);
        offset = stretch_offsets_.data();
      }
      ids.insert(ids.end(), stretch_ids_.data(), id);
      id = stretch_ids_.data();
      spare = kSpare;
    };
    const auto append = [&](const int32_t* more_ids, const Offset* more_offsets, size_t count, uint32_t base) {
      for (size_t done = 0; done < count;) {
        if (spare == 0) flush();
        const size_t n = std::min(count - done, spare);
        id = std::copy_n(more_ids + done, n, id);
        if constexpr (kWithOffsets) {
          for (size_t i = done; i < done + n; ++i)
            *offset++ = {base + more_offsets[i].begin, base + more_offsets[i].end};
        }
        spare -= n;
        done += n;
      }
    };

    const uint32_t* const last_edge = edges_.data() + (edge - edges_.data()) / 2 * 2;
    ChunkCache::Key* next_key = keys_.data();
    for (const uint32_t* bound = edges_.data(); bound < last_edge; bound += 2) {
      const char* chunk = text.data() + bound[0];
      const uint32_t length = bound[1] - bound[0];
      const bool is_short = length <= ChunkCache::kInlineBytes && end_of_text - chunk >= ChunkCache::kInlineBytes;
      *next_key = is_short ? ChunkCache::short_key(chunk, length) : ChunkCache::key(std::string_view(chunk, length));
      cache_.prefetch(*next_key++);
    }
    next_key = keys_.data();
    for (const uint32_t* bound = edges_.data(); bound < last_edge; bound += 2) {
      const char* chunk = text.data() + bound[0];
      const uint32_t length = bound[1] - bound[0];
      const uint32_t base = bound[0] - continuation_bytes;
      const ChunkCache::Key& key = *next_key++;
      const ChunkCache::Slot* slot = length <= ChunkCache::kLongestChunk ? cache_.find(key, chunk) : nullptr;
      if (slot == nullptr) {
        const std::string_view new_chunk(chunk, length);
        const uint32_t continuing = encode_new(new_chunk);
        append(chunk_ids_.data(), chunk_offsets_.data(), chunk_ids_.size(), base);
        continuation_bytes += continuing;
        if (length <= ChunkCache::kLongestChunk) cache_.insert(key, new_chunk, chunk_ids_, chunk_offsets_, continuing);
        continue;
      }
      continuation_bytes += slot->continuation_bytes;
      if (slot->count == ChunkCache::kStored) {
        append(cache_.ids().data() + slot->ids[0], cache_.offsets().data() + slot->ids[0],
               static_cast<size_t>(slot->ids[1]), base);
        continue;
      }
      // As many as fit are written whatever the count, and those past it overwritten by the next chunk: no branch.
      std::memcpy(id, slot->ids, sizeof(slot->ids));
      id += slot->count;
      if constexpr (kWithOffsets) {
        const uint32_t first_end = base + 1 + (slot->ends & 15), second_end = base + 1 + (slot->ends >> 4);
        offset[0] = {base, first_end};
        offset[1] = {first_end, second_end};
        offset[2] = {second_end, base + length - slot->continuation_bytes};
        offset += slot->count;
      }
    }
    flush();
    edges_[0] = *last_edge;  // an open chunk goes on in the next stretch
    edge = edges_.data() + (open ? 1 : 0);
  }
  const size_t count = std::min(ids.size() - first, limit);
  ids.resize(first + count);
  if constexpr (kWithOffsets) offsets->resize(first_offset + count);
  return count;
}

// Fills chunk_ids_ and chunk_offsets_ and returns how many bytes more than code points the chunk has.
uint32_t Encoder::encode_new(std::string_view chunk) {
  chunk_ids_.clear();
  chunk_offsets_.clear();
  uint32_t code_points = 0;
  size_t at = 0;
  while (const auto added = model_->added_tokens.find(chunk, at)) {
    code_points += encode_words(chunk.substr(at, added->begin - at), code_points);
    uint32_t length = 0;
    for (const char* byte = chunk.data() + added->begin; byte < chunk.data() + added->end; ++length) {
      byte += decode_utf8(byte, chunk.data() + added->end).length;
    }
    chunk_ids_.push_back(added->id);
    chunk_offsets_.push_back({code_points, code_points + length});
    code_points += length;
    at = added->end;
  }
  code_points += encode_words(chunk.substr(at), code_points);
  return static_cast<uint32_t>(chunk.size()) - code_points;
}

// Appends the tokens of ordinary text, whose first code point counts as number `first`; returns how many it has.
uint32_t Encoder::encode_words(std::string_view raw, uint32_t first) {
  const uint32_t code_points = normalizer_.split(raw, first);
  const uint32_t* source = normalizer_.source();
  for (const Normalizer::Word& word : normalizer_.words()) {
    model_->word_piece.tokenize(normalizer_.text().substr(word.begin, word.end - word.begin), word.characters, pieces_);
    for (const WordPiece::Piece& piece : pieces_.found) {
      chunk_ids_.push_back(piece.id);
      chunk_offsets_.push_back({source[word.begin + piece.begin], source[word.begin + piece.end - 1] + 1});
    }
  }
  return code_points;
}

}  // namespace aid::tokenizer
