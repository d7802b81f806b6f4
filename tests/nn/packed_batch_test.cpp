#include "nn/packed_batch.h"

#include <gtest/gtest.h>

#include <set>

#include "nn/bert.h"

namespace aid {
namespace {

constexpr nn::BertConfig kConfig{.vocab_size = 50, .hidden = 8, .max_positions = 5, .types = 2};

std::vector<int32_t> integers(CSpan span) { return {span.as<int32_t>(), span.as<int32_t>() + span.size()}; }

TEST(PackedBatch, DerivesPositionsClsRowsAndRowIds) {
  Stream s({.threads = 1});
  const nn::TokenBatch batch{
      .ids = {9, 8, 7, 6, 5}, .types = {0, 0, 1, 0, 1}, .cu_seqlens = {0, 3, 5}, .sequence_ids = {2, 65535}};
  const nn::PackedBatch packed = nn::pack(s, batch, kConfig, {.seed = 1, .step = 1});
  using Integers = std::vector<int32_t>;
  EXPECT_EQ(packed.tokens, 5);
  EXPECT_EQ(packed.sequences, 2);
  EXPECT_EQ(integers(packed.ids), batch.ids);
  EXPECT_EQ(integers(packed.types), batch.types);
  EXPECT_EQ(integers(packed.positions), (Integers{0, 1, 2, 0, 1}));
  EXPECT_EQ(integers(packed.first), (Integers{0, 3}));
  EXPECT_EQ(integers(packed.all.cu_seqlens), batch.cu_seqlens);
  EXPECT_EQ(integers(packed.one.cu_seqlens), (Integers{0, 1, 2}));
  EXPECT_EQ(integers(packed.all.row_ids), (Integers{0x20000, 0x20001, 0x20002, -0x10000, -0xffff}));
  EXPECT_EQ(integers(packed.one.row_ids), (Integers{0x20000, -0x10000}));
}

TEST(PackedBatch, ModelsWithoutTokenTypesIgnoreThem) {
  Stream s({.threads = 1});
  nn::BertConfig config = kConfig;
  config.types = 0;
  EXPECT_TRUE(nn::pack(s, {.ids = {1}, .types = {1}, .cu_seqlens = {0, 1}}, config, nn::kNoDropout).types.empty());
}

// No two of a model's dropouts share a mask, with as many layers and heads as a configuration may have.
TEST(DropoutSites, AreAllDifferent) {
  constexpr uint32_t kLayers = 250, kHeads = 256;
  std::set<uint32_t> sites = {nn::dropout_site::embeddings, nn::dropout_site::classifier};
  size_t count = 2;
  for (uint32_t layer = 0; layer < kLayers; ++layer) {
    sites.insert(nn::dropout_site::attention_output(layer));
    sites.insert(nn::dropout_site::feed_forward_output(layer));
    count += 2;
    for (uint32_t head = 0; head < kHeads; ++head, ++count) {
      sites.insert(nn::dropout_site::attention_probabilities(layer) << 8 | head);
    }
  }
  EXPECT_EQ(sites.size(), count);
}

}  // namespace
}  // namespace aid
