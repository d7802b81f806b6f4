#include "train/text/text_encoder.h"

#include <gtest/gtest.h>

#include "tests/io/test_files.h"

namespace aid::train {
namespace {

// Words w0 ... w999 are tokens 4 ... 1003, so that a text is the numbers that its sequences must hold.
class TextEncoderTest : public testing::Test {
 protected:
  static constexpr int32_t kCls = 2, kSep = 3, kFirst = 4;

  TextEncoderTest() {
    std::string vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";
    for (int i = 0; i < 1000; ++i) vocab += "w" + std::to_string(i) + "\n";
    io::test::put(folder_ / "vocab.txt", vocab);
    tokenizer_.emplace(tokenizer::Tokenizer::load(folder_.path()));
  }
  static std::string text(int words) {
    std::string made;
    for (int i = 0; i < words; ++i) made += (i > 0 ? " w" : "w") + std::to_string(i);
    return made;
  }
  // The words of every sequence, after checking [CLS] and [SEP].
  std::vector<std::vector<int>> sequences(const LongOptions& options, int words, int64_t* cut = nullptr) const {
    EncodedTexts out;
    TextEncoder(*tokenizer_, options).encode(text(words), out);
    EXPECT_EQ(out.texts(), 1);
    std::vector<std::vector<int>> result;
    for (int64_t s = 0; s < out.sequences(); ++s) {
      const auto ids = out.sequence(s);
      EXPECT_EQ(ids.front(), kCls);
      EXPECT_EQ(ids.back(), kSep);
      EXPECT_LE(static_cast<int64_t>(ids.size()), options.max_length);
      std::vector<int> words_of;
      for (const int32_t id : ids.subspan(1, ids.size() - 2)) words_of.push_back(id - kFirst);
      result.push_back(words_of);
    }
    if (cut != nullptr) *cut = out.cut;
    return result;
  }
  static std::vector<int> range(int begin, int end) {
    std::vector<int> numbers;
    for (int i = begin; i < end; ++i) numbers.push_back(i);
    return numbers;
  }

  io::test::TemporaryFolder folder_;
  std::optional<tokenizer::Tokenizer> tokenizer_;
};

using Sequences = std::vector<std::vector<int>>;

TEST_F(TextEncoderTest, HeadKeepsTheFirst) {
  int64_t cut = 0;
  EXPECT_EQ(sequences({.max_length = 12}, 10, &cut), Sequences{range(0, 10)});
  EXPECT_EQ(cut, 0);
  EXPECT_EQ(sequences({.max_length = 12}, 11, &cut), Sequences{range(0, 10)});
  EXPECT_EQ(cut, 1);
  EXPECT_EQ(sequences({.max_length = 12}, 0), Sequences{{}});
}

TEST_F(TextEncoderTest, TailKeepsTheLast) {
  int64_t cut = 0;
  EXPECT_EQ(sequences({.policy = LongPolicy::tail, .max_length = 12}, 25, &cut), Sequences{range(15, 25)});
  EXPECT_EQ(cut, 1);
  EXPECT_EQ(sequences({.policy = LongPolicy::tail, .max_length = 12}, 10, &cut), Sequences{range(0, 10)});
  EXPECT_EQ(cut, 0);
}

TEST_F(TextEncoderTest, HeadTailIs128And382Of510) {
  std::vector<int> expected = range(0, 128);
  const std::vector<int> tail = range(900 - 382, 900);
  expected.insert(expected.end(), tail.begin(), tail.end());
  EXPECT_EQ(sequences({.policy = LongPolicy::head_tail, .max_length = 512}, 900), Sequences{expected});
  EXPECT_EQ(sequences({.policy = LongPolicy::head_tail, .max_length = 512}, 510), Sequences{range(0, 510)});
  // A quarter of the length, a quarter of each part.
  EXPECT_EQ(sequences({.policy = LongPolicy::head_tail, .max_length = 14}, 100).front(),
            (std::vector<int>{0, 1, 2, 91, 92, 93, 94, 95, 96, 97, 98, 99}));
}

// As transformers cuts with return_overflowing_tokens.
TEST_F(TextEncoderTest, WindowsOverlapByStrideAndCoverTheText) {
  const LongOptions options{.policy = LongPolicy::windows, .max_length = 12, .stride = 4};
  int64_t cut = 0;
  EXPECT_EQ(sequences(options, 10), Sequences{range(0, 10)});
  EXPECT_EQ(sequences(options, 11), (Sequences{range(0, 10), range(6, 11)}));
  EXPECT_EQ(sequences(options, 23, &cut), (Sequences{range(0, 10), range(6, 16), range(12, 22), range(18, 23)}));
  EXPECT_EQ(cut, 0);
  EXPECT_EQ(sequences(options, 0), Sequences{{}});
}

TEST_F(TextEncoderTest, MaxWindowsEndsTheReading) {
  LongOptions options{.policy = LongPolicy::windows, .max_length = 12, .stride = 4, .max_windows = 2};
  int64_t cut = 0;
  EXPECT_EQ(sequences(options, 16, &cut), (Sequences{range(0, 10), range(6, 16)}));
  EXPECT_EQ(cut, 0);
  EXPECT_EQ(sequences(options, 500, &cut), (Sequences{range(0, 10), range(6, 16)}));
  EXPECT_EQ(cut, 1);
}

TEST_F(TextEncoderTest, ManyTextsAreTheSameForAnyTeam) {
  std::vector<std::string> texts;
  for (int i = 0; i < 60; ++i) texts.push_back(text(i * 7 % 53));
  const TextEncoder encoder(*tokenizer_, {.policy = LongPolicy::windows, .max_length = 12, .stride = 3});
  EncodedTexts one_by_one;
  for (const std::string& t : texts) encoder.encode(t, one_by_one);
  for (const int threads : {1, 2, 3}) {
    const EncodedTexts all = encoder.encode(texts, ThreadTeam(threads));
    EXPECT_EQ(all.ids, one_by_one.ids);
    EXPECT_EQ(all.sequence_begin, one_by_one.sequence_begin);
    EXPECT_EQ(all.first_sequence, one_by_one.first_sequence);
    EXPECT_EQ(all.cut, one_by_one.cut);
  }
}

TEST_F(TextEncoderTest, OptionsWithoutRoomAreRefused) {
  EXPECT_THROW(TextEncoder(*tokenizer_, {.max_length = 2}), std::invalid_argument);
  EXPECT_THROW(TextEncoder(*tokenizer_, {.policy = LongPolicy::windows, .max_length = 12, .stride = 10}),
               std::invalid_argument);
  EXPECT_THROW(TextEncoder(*tokenizer_, {.policy = LongPolicy::windows, .max_length = 12, .stride = -1}),
               std::invalid_argument);
}

TEST(LongPolicy, NamesAreTheCommandLines) {
  for (const auto policy : {LongPolicy::head, LongPolicy::tail, LongPolicy::head_tail, LongPolicy::windows}) {
    EXPECT_EQ(long_policy_from_name(name_of(policy)), policy);
  }
  EXPECT_EQ(long_policy_from_name("middle"), std::nullopt);
}

}  // namespace
}  // namespace aid::train
