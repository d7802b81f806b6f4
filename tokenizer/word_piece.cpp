#include "tokenizer/word_piece.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace aid::tokenizer {
namespace {

// Pieces that start a word and pieces that continue one live in the same table, kept apart by where their hash starts.
constexpr uint64_t kStart = 0x243F6A8885A308D3, kContinuing = 0x13198A2E03707344;

uint64_t add_byte(uint64_t hash, char byte) { return (hash ^ static_cast<uint8_t>(byte)) * 0x9E3779B97F4A7C15; }

bool starts_character(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) != 0x80; }

}  // namespace

WordPiece::WordPiece(const std::vector<std::pair<std::string, int32_t>>& vocabulary, const Options& options)
    : options_(options) {
  const std::string& prefix = options_.continuing_subword_prefix;
  const auto continues = [&](const std::string& piece) {
    return piece.size() > prefix.size() && piece.starts_with(prefix);
  };
  size_t entries = vocabulary.size();
  for (const auto& [piece, id] : vocabulary) entries += continues(piece) ? 1 : 0;
  const size_t capacity = std::bit_ceil(entries + entries / 2 + 2);
  slots_.resize(capacity);
  shift_ = 64 - std::countr_zero(capacity);
  filter_.resize(std::max<size_t>(1, 8 * capacity / 64));
  filter_shift_ = 64 - std::countr_zero(64 * filter_.size());
  for (const auto& [piece, id] : vocabulary) {
    if (!piece.empty()) insert(kStart, piece, id);
    if (continues(piece)) insert(kContinuing, std::string_view(piece).substr(prefix.size()), id);
  }
}

void WordPiece::insert(uint64_t seed, std::string_view piece, int32_t id) {
  uint64_t hash = seed;
  for (char byte : piece) hash = add_byte(hash, byte);
  size_t at = hash >> shift_;
  while (slots_[at].id >= 0) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {static_cast<uint32_t>(hash), id, static_cast<uint32_t>(text_.size()),
                static_cast<uint32_t>(piece.size())};
  filter_[hash >> filter_shift_ >> 6] |= uint64_t{1} << (hash >> filter_shift_ & 63);
  text_ += piece;
  longest_ = std::max(longest_, static_cast<uint32_t>(piece.size()));
}

int32_t WordPiece::find(uint64_t hash, const char* piece, uint32_t length) const {
  const uint64_t bit = hash >> filter_shift_;
  if ((filter_[bit >> 6] >> (bit & 63) & 1) == 0) return -1;
  for (size_t at = hash >> shift_;; at = (at + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[at];
    if (slot.id < 0) return -1;
    if (slot.tag == static_cast<uint32_t>(hash) && slot.length == length &&
        std::memcmp(text_.data() + slot.begin, piece, length) == 0) {
      return slot.id;
    }
  }
}

void WordPiece::tokenize(std::string_view word, size_t characters, Pieces& pieces) const {
  pieces.found.clear();
  const auto size = static_cast<uint32_t>(word.size());
  pieces.hashes.resize(longest_ + 1);
  bool known = characters <= options_.max_input_chars_per_word;
  for (uint32_t begin = 0; known && begin < size;) {
    const char* piece = word.data() + begin;
    const uint32_t reach = std::min(size - begin, longest_);
    uint64_t hash = begin == 0 ? kStart : kContinuing;
    for (uint32_t i = 0; i < reach; ++i) pieces.hashes[i + 1] = hash = add_byte(hash, piece[i]);
    int32_t id = -1;
    uint32_t length = reach;
    for (; length > 0; --length) {
      if (begin + length < size && !starts_character(piece[length])) continue;
      id = find(pieces.hashes[length], piece, length);
      if (id >= 0) break;
    }
    known = id >= 0;
    pieces.found.push_back({id, begin, begin + length});
    begin += length;
  }
  if (!known) pieces.found.assign(1, {options_.unk_id, 0, size});
}

}  // namespace aid::tokenizer
