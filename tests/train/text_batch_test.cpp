#include "train/text/text_batch.h"

#include <gtest/gtest.h>

namespace aid::train {
namespace {

// Three texts of 1, 2 and 1 sequences.
const EncodedTexts kTexts{
    .ids = {2, 3, 2, 7, 3, 2, 8, 9, 3, 2, 5, 3}, .sequence_begin = {0, 2, 5, 9, 12}, .first_sequence = {0, 1, 3, 4}};

TEST(TextBatch, PacksTextsInTheOrderAsked) {
  const TextBatch batch = make_batch(kTexts, std::vector<int32_t>{1, 0}, 40);
  EXPECT_EQ(batch.tokens.ids, (std::vector<int32_t>{2, 7, 3, 2, 8, 9, 3, 2, 3}));
  EXPECT_EQ(batch.tokens.cu_seqlens, (std::vector<int32_t>{0, 3, 7, 9}));
  EXPECT_EQ(batch.tokens.sequence_ids, (std::vector<int32_t>{40, 41, 42}));
  EXPECT_EQ(batch.first_sequence, (std::vector<int32_t>{0, 2, 3}));
  EXPECT_EQ(text_lengths(kTexts), (std::vector<int32_t>{2, 7, 3}));
}

TEST(TextBatch, SplitsBySequences) {
  const TextBatch batch = make_batch(kTexts, std::vector<int32_t>{0, 1, 2}, 0);
  EXPECT_EQ(split_batch(batch.tokens, 100).size(), 1u);
  const auto parts = split_batch(batch.tokens, 5);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].ids, (std::vector<int32_t>{2, 3, 2, 7, 3}));
  EXPECT_EQ(parts[1].cu_seqlens, (std::vector<int32_t>{0, 4}));
  EXPECT_EQ(parts[2].sequence_ids, std::vector<int32_t>{3});
}

}  // namespace
}  // namespace aid::train
