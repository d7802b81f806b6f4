#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "model_dir.h"
#include "tokenizer/error.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer {
namespace {

Tokenizer small(const LoadOptions& options = {.strip_accents = false}) {
  ModelDir dir;
  return Tokenizer::load(dir.write("vocab.txt", read_whole(golden("vocab.txt"))).path(), options);
}

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text, size_t limit = kNoLimit) {
  std::vector<int32_t> ids;
  const size_t count = tokenizer.encode_ids(text, ids, limit);
  EXPECT_EQ(count, ids.size());
  return ids;
}

/// Words, some of the vocabulary, with all kinds of white space and bytes between.
std::string random_text(std::mt19937& random, size_t bytes, bool any_byte) {
  static const char* const kWords[] = {"el",       "Niño", "resolución,", "[SEP]",      "x1y2z3", "«pan»",
                                       "camiones", "\t",   "\n\n",        "cafe\u0301", "中国"};
  std::string text;
  while (text.size() < bytes) {
    if (any_byte && random() % 2 != 0) {
      text += static_cast<char>(random());
    } else {
      text += kWords[random() % std::size(kWords)];
      if (random() % 4 != 0) text += ' ';
    }
  }
  return text;
}

// A text's tokens are its chunks' tokens, whatever lies in the cache and wherever the text's blocks and stretches end.
TEST(Tokenizer, TextsAreTheirChunks) {
  std::mt19937 random(1);
  const Tokenizer tokenizer = small();
  for (int round = 0; round < 300; ++round) {
    const std::string text = random_text(random, random() % 9000, round % 2 != 0);
    std::vector<int32_t> expected, ids;
    std::vector<Offset> expected_offsets, offsets;
    uint32_t code_points = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find_first_of(" \t\n\r", at), text.size());
      std::vector<Offset> chunk;
      tokenizer.encode_ids(text.substr(at, end - at), expected, chunk);
      for (const Offset& offset : chunk)
        expected_offsets.push_back({offset.begin + code_points, offset.end + code_points});
      for (const char* byte = text.data() + at; byte < text.data() + end; ++code_points) {
        byte += decode_utf8(byte, text.data() + end).length;
      }
      at = end + 1;
      ++code_points;
    }
    // Exactly as long as the text, so that a sanitizer sees a read past its end.
    const auto exact = std::make_unique<char[]>(text.size());
    std::memcpy(exact.get(), text.data(), text.size());
    small().encode_ids({exact.get(), text.size()}, ids, offsets);
    ASSERT_EQ(ids, expected) << round;
    ASSERT_EQ(offsets, expected_offsets) << round;
    for (const Offset& offset : offsets) ASSERT_TRUE(offset.begin < offset.end && offset.end <= code_points);
  }
}

// More chunks than the cache holds, of every length there is a rule for.
TEST(Tokenizer, CacheGrowsAndStartsAgain) {
  const Tokenizer tokenizer = small();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 400'000; i += 50) {
      std::string text;
      std::vector<int32_t> expected;
      for (int k = i; k < i + 50; ++k) {
        const std::string chunk =
            std::string(static_cast<size_t>(k % 7 == 0 ? k % 300 : 0), 'e') + std::to_string(k) + "ño";
        text += chunk + ' ';
        ids_of(tokenizer, chunk).swap(expected);
        const std::vector<int32_t> again = ids_of(tokenizer, chunk);
        ASSERT_EQ(again, expected) << chunk;
      }
      ASSERT_FALSE(ids_of(tokenizer, text).empty());
    }
  }
}

TEST(Tokenizer, LimitIsAPrefix) {
  std::mt19937 random(2);
  const Tokenizer tokenizer = small();
  const std::string text = random_text(random, 20'000, false);
  const std::vector<int32_t> all = ids_of(tokenizer, text);
  for (size_t limit : {size_t{0}, size_t{1}, size_t{2}, size_t{510}, all.size() - 1, all.size(), all.size() + 1}) {
    std::vector<int32_t> ids{-7};
    std::vector<Offset> offsets(1);
    EXPECT_EQ(tokenizer.encode_ids(text, ids, offsets, limit), std::min(limit, all.size()));
    EXPECT_EQ(offsets.size(), ids.size());
    ids.erase(ids.begin());
    EXPECT_EQ(ids, std::vector(all.begin(), all.begin() + static_cast<ptrdiff_t>(ids.size())));
  }
}

TEST(Tokenizer, BatchEqualsOneByOne) {
  std::mt19937 random(3);
  const Tokenizer tokenizer = small();
  std::vector<std::string> texts;
  for (int i = 0; i < 500; ++i) texts.push_back(random_text(random, random() % 4000, true));
  texts.push_back("");
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  for (int threads : {0, 1, 2, 5}) {
    for (size_t limit : {kNoLimit, size_t{30}}) {
      const Batch batch = tokenizer.encode_batch(views, threads, limit);
      ASSERT_EQ(batch.begins.size(), texts.size() + 1);
      for (size_t i = 0; i < texts.size(); ++i) {
        ASSERT_EQ(std::vector<int32_t>(batch[i].begin(), batch[i].end()), ids_of(tokenizer, texts[i], limit));
      }
    }
  }
  EXPECT_EQ(tokenizer.encode_batch({}, 2).begins, std::vector<size_t>{0});
}

TEST(Tokenizer, OneTokenizerForManyThreads) {
  const Tokenizer tokenizer = small();
  std::mt19937 random(4);
  const std::string text = random_text(random, 50'000, true);
  const std::vector<int32_t> expected = ids_of(small(), text);
  std::atomic<int> equal = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 5; ++round) equal += ids_of(tokenizer, text) == expected ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(equal, 20);
}

// Each maximal bad sequence is one U+FFFD, which counts as a code point and which clean_text deletes.
TEST(Tokenizer, InvalidUtf8) {
  const Tokenizer tokenizer = small();
  const std::pair<const char*, std::vector<Offset>> cases[] = {
      {"\xFF"
       "el",
       {{1, 3}}},
      {"e\xC3l pan", {{0, 3}, {4, 7}}},
      {"el\xE2\x82", {{0, 2}}},
      {"\xED\xA0\x80 pan", {{4, 7}}},  // a surrogate: three bad bytes
      {"\xE0\x81\xAF pan", {{4, 7}}},  // an overlong form of "o"
      {"\xF0\x9F\x98 pan", {{2, 5}}},  // a cut emoji: one
      {"\xF4\x90\x80\x80\xC0\xAF pan", {{7, 10}}},
  };
  for (const auto& [text, expected] : cases) {
    std::vector<int32_t> ids;
    std::vector<Offset> offsets;
    tokenizer.encode_ids(text, ids, offsets);
    EXPECT_EQ(offsets, expected) << text;
  }
}

TEST(Tokenizer, NfcJoinsAccents) {
  const Tokenizer as_is = small(), composed = small({.strip_accents = false, .nfc = true});
  const std::string text = "El nin\u0303o comio\u0301 \u1112\u1161\u11ab 👩‍👧 e\u0316\u0301";
  EXPECT_NE(ids_of(as_is, text), ids_of(as_is, "El niño comió \ud55c 👩‍👧 é\u0316"));
  std::vector<int32_t> ids;
  std::vector<Offset> offsets;
  composed.encode_ids(text, ids, offsets);
  EXPECT_EQ(ids, ids_of(as_is, "El niño comió \ud55c 👩‍👧 e\u0316\u0301"));
  EXPECT_EQ(offsets[1], (Offset{3, 8}));
}

TEST(Tokenizer, CountsUnknownCharacters) {
  const Tokenizer tokenizer = small();
  const std::vector<std::string_view> texts{"el 5% y 10% pingüino", "el pan; [UNK] €", "\xFFpan%"};
  const UnknownStats stats = tokenizer.count_unknown(texts, 2);
  EXPECT_EQ(stats.unknown, 7);  // % % pingüino ; [UNK] € %
  const std::vector<std::pair<char32_t, int64_t>> expected{{U'%', 3}, {U';', 1}, {U'ü', 1}, {U'€', 1}};
  EXPECT_EQ(stats.characters, expected);
}

TEST(Tokenizer, WindowsNeedRoom) {
  const Tokenizer tokenizer = small();
  EXPECT_THROW(tokenizer.encode("el pan", std::nullopt, {.max_length = 1}), Error);
  EXPECT_THROW(tokenizer.encode("el pan con queso", std::nullopt, {.max_length = 4, .stride = 2}), Error);
  EXPECT_EQ(tokenizer.encode("el pan", std::nullopt, {.max_length = 2}).size(), 2u);
}

}  // namespace
}  // namespace aid::tokenizer
