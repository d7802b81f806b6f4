// The cache by itself: texts would show few of its mistakes, since most chunks that it could mix up have the same
// tokens or never meet.
#include "tokenizer/chunk_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace aid::tokenizer {
namespace {

// What the cache remembers of a chunk, whichever way its slot holds it.
struct Tokens {
  std::vector<int32_t> ids;
  std::vector<Offset> offsets;
  bool operator==(const Tokens&) const = default;
};

std::optional<Tokens> found(const ChunkCache& cache, const ChunkCache::Key& key, const std::string& chunk) {
  const ChunkCache::Slot* slot = cache.find(key, chunk.data());
  if (slot == nullptr) return std::nullopt;
  if (slot->count == ChunkCache::kStored) {
    const auto id = cache.ids().begin() + slot->ids[0];
    const auto offset = cache.offsets().begin() + slot->ids[0];
    return Tokens{{id, id + slot->ids[1]}, {offset, offset + slot->ids[1]}};
  }
  const uint32_t ends[] = {1u + (slot->ends & 15), 1u + (slot->ends >> 4), key.length - slot->continuation_bytes};
  Tokens tokens{{slot->ids, slot->ids + slot->count}, {}};
  for (uint32_t i = 0, begin = 0; i < slot->count; ++i) {
    const uint32_t end = i + 1 == slot->count ? ends[2] : ends[i];
    tokens.offsets.push_back({begin, end});
    begin = end;
  }
  return tokens;
}

void insert(ChunkCache& cache, const ChunkCache::Key& key, const std::string& chunk, const Tokens& tokens) {
  cache.insert(key, chunk, tokens.ids, tokens.offsets, 0);
}

// One token after the other, without a gap, `each` code points long; the last takes what is left.
Tokens tokens_of(uint32_t length, uint32_t count, int32_t first_id, uint32_t each = 1) {
  Tokens tokens;
  for (uint32_t i = 0; i < count; ++i) {
    tokens.ids.push_back(first_id + static_cast<int32_t>(i));
    tokens.offsets.push_back({i * each, i + 1 == count ? length : (i + 1) * each});
  }
  return tokens;
}

// A chunk of up to 16 bytes is its own key, a longer one is two hashes: the short chunk that is spelled as a long one's
// hashes is another chunk, and so is one that ends in the zeros which pad a shorter one.
TEST(ChunkCache, LengthsTellKeysApart) {
  const std::string longer = "responsabilidades,";
  const ChunkCache::Key key = ChunkCache::key(longer);
  std::string shorter(ChunkCache::kInlineBytes, ' ');
  std::memcpy(shorter.data(), &key.low, 8);
  std::memcpy(shorter.data() + 8, &key.high, 8);
  ChunkCache cache;
  insert(cache, ChunkCache::key(shorter), shorter, tokens_of(16, 2, 10));
  EXPECT_FALSE(found(cache, key, longer).has_value());
  insert(cache, key, longer, tokens_of(18, 2, 20));
  EXPECT_EQ(found(cache, key, longer), tokens_of(18, 2, 20));
  EXPECT_EQ(found(cache, ChunkCache::key(shorter), shorter), tokens_of(16, 2, 10));

  const std::string padded("ley\0", 4);
  insert(cache, ChunkCache::key("ley"), "ley", tokens_of(3, 1, 30));
  EXPECT_FALSE(found(cache, ChunkCache::key(padded), padded).has_value());
}

// Few tokens do not make a long chunk a short one: 18 code points do not fit where a slot notes the end of a token.
TEST(ChunkCache, LongChunksOfOneTokenKeepTheirTexts) {
  ChunkCache cache;
  const std::string first = "internacionalización", second = "constitucionalizadas";
  ASSERT_EQ(first.size(), 21u);
  insert(cache, ChunkCache::key(first), first, tokens_of(20, 2, 40, 18));
  insert(cache, ChunkCache::key(second), second, tokens_of(20, 1, 50));
  EXPECT_EQ(found(cache, ChunkCache::key(first), first), tokens_of(20, 2, 40, 18));
  EXPECT_EQ(found(cache, ChunkCache::key(second), second), tokens_of(20, 1, 50));
}

// Texts whose hashes are equal cannot be found in a lifetime, so here one is looked up under the other's key.
TEST(ChunkCache, EqualHashesAreNotEqualTexts) {
  ChunkCache cache;
  const std::string first = "ayuntamiento-a-ayuntamiento", second = "ayuntamiento-b-ayuntamiento";
  const ChunkCache::Key key = ChunkCache::key(first);
  insert(cache, key, first, tokens_of(27, 5, 60));
  EXPECT_FALSE(found(cache, key, second).has_value());
  insert(cache, key, second, tokens_of(27, 5, 70));
  EXPECT_EQ(found(cache, key, first), tokens_of(27, 5, 60));
  EXPECT_EQ(found(cache, key, second), tokens_of(27, 5, 70));
}

// Whatever lies behind the chunk, and however the key was made.
TEST(ChunkCache, TheKeyOfAShortChunkIsItsBytes) {
  const std::string text = "«año»y-16-bytes, y lo que sigue";
  const std::string other = text.substr(0, 8) + std::string(24, 'x');
  for (uint32_t length = 1; length <= ChunkCache::kInlineBytes; ++length) {
    const ChunkCache::Key key = ChunkCache::key(text.substr(0, length)),
                          fast = ChunkCache::short_key(text.data(), length);
    EXPECT_EQ(fast.low, key.low) << length;
    EXPECT_EQ(fast.high, key.high) << length;
    EXPECT_EQ(fast.length, length);
    EXPECT_EQ(fast.hash, key.hash) << length;
    const ChunkCache::Key same_start = ChunkCache::short_key(other.data(), length);
    EXPECT_EQ(same_start.low == key.low && same_start.high == key.high, length <= 8) << length;
  }
}

// Zero to four tokens, with and without gaps, of short and long chunks, before and after the table has grown.
TEST(ChunkCache, RemembersWhatItWasGiven) {
  ChunkCache cache;
  constexpr uint32_t kChunks = 20'000;
  const auto chunk_of = [](uint32_t i) {
    std::string chunk = std::to_string(i);
    return chunk.insert(0, std::string(i % 3 == 0 ? 14 : 4, '.'));
  };
  const auto expected = [&](uint32_t i) {
    const auto length = static_cast<uint32_t>(chunk_of(i).size());
    Tokens tokens = tokens_of(length, i % 5, static_cast<int32_t>(8 * i));
    if (i % 7 == 0 && !tokens.offsets.empty()) ++tokens.offsets.front().begin;  // a gap in front
    return tokens;
  };
  for (uint32_t i = 0; i < kChunks; ++i) {
    ASSERT_FALSE(found(cache, ChunkCache::key(chunk_of(i)), chunk_of(i)).has_value());
    insert(cache, ChunkCache::key(chunk_of(i)), chunk_of(i), expected(i));
  }
  for (uint32_t i = 0; i < kChunks; ++i) {
    ASSERT_EQ(found(cache, ChunkCache::key(chunk_of(i)), chunk_of(i)), expected(i)) << i;
  }
}

}  // namespace
}  // namespace aid::tokenizer
