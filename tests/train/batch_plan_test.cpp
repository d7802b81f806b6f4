#include "train/loop/batch_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kernels/core/philox.h"

namespace aid::train {
namespace {

using Order = BatchPlanOptions::Order;

std::vector<int32_t> some_lengths(int n) {
  std::vector<int32_t> lengths;
  for (int i = 0; i < n; ++i) {
    lengths.push_back(static_cast<int32_t>(2 + philox::block({static_cast<uint32_t>(i), 0, 0, 0}, 9)[0] % 300));
  }
  return lengths;
}

std::vector<int32_t> flat(const std::vector<Step>& steps) {
  std::vector<int32_t> texts;
  for (const Step& step : steps) texts.insert(texts.end(), step.begin(), step.end());
  return texts;
}

TEST(BatchPlan, EveryTextOnceWhateverTheOptions) {
  for (const int n : {1, 2, 31, 32, 33, 1000}) {
    const auto lengths = some_lengths(n);
    for (const Order order : {Order::shuffled, Order::group_by_length}) {
      for (const int64_t tokens : {0, 100, 1000}) {
        auto texts = flat(plan_epoch(lengths, {.order = order, .texts_per_step = 8, .tokens_per_step = tokens}, 3));
        std::sort(texts.begin(), texts.end());
        std::vector<int32_t> all(static_cast<size_t>(n));
        std::iota(all.begin(), all.end(), 0);
        EXPECT_EQ(texts, all) << n << " texts, " << tokens << " tokens";
      }
    }
  }
}

TEST(BatchPlan, StepsAreFullButTheLast) {
  const auto steps = plan_epoch(some_lengths(100), {.texts_per_step = 32}, 0);
  ASSERT_EQ(steps.size(), 4u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(steps[i].size(), 32u);
  EXPECT_EQ(steps[3].size(), 4u);
}

TEST(BatchPlan, IsAFunctionOfSeedAndEpoch) {
  const auto lengths = some_lengths(200);
  const BatchPlanOptions options{.texts_per_step = 16, .seed = 7};
  EXPECT_EQ(plan_epoch(lengths, options, 2), plan_epoch(lengths, options, 2));
  EXPECT_NE(plan_epoch(lengths, options, 2), plan_epoch(lengths, options, 3));
  EXPECT_NE(plan_epoch(lengths, options, 2), plan_epoch(lengths, {.texts_per_step = 16, .seed = 8}, 2));
}

// Each text comes to each place about equally often: chi-square with 63 degrees of freedom stays below its 99.99 %
// quantile (113.5) for these fixed seeds.
TEST(BatchPlan, ShuffleIsFair) {
  const std::vector<int32_t> lengths(8, 5);
  std::vector<int> count(64);
  constexpr int kEpochs = 4000;
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const auto order = flat(plan_epoch(lengths, {.texts_per_step = 8}, epoch));
    for (size_t place = 0; place < 8; ++place) ++count[static_cast<size_t>(order[place]) * 8 + place];
  }
  double chi_square = 0;
  for (const int c : count) chi_square += (c - kEpochs / 8.0) * (c - kEpochs / 8.0) / (kEpochs / 8.0);
  EXPECT_LT(chi_square, 113.5);
}

TEST(BatchPlan, GroupByLengthSortsMegaBatchesAndPutsTheLongestFirst) {
  const auto lengths = some_lengths(1000);
  const auto texts = flat(plan_epoch(lengths, {.order = Order::group_by_length, .texts_per_step = 4}, 1));
  EXPECT_EQ(lengths[texts[0]], *std::max_element(lengths.begin(), lengths.end()));
  // 50 steps of 4 texts are a mega-batch; its first text may have been swapped with the longest of all.
  for (size_t begin = 0; begin < texts.size(); begin += 200) {
    for (size_t i = begin + 2; i < begin + 200; ++i) EXPECT_GE(lengths[texts[i - 1]], lengths[texts[i]]) << i;
  }
}

TEST(BatchPlan, TokenStepsKeepTheirBudget) {
  auto lengths = some_lengths(300);
  lengths[17] = 5000;
  const auto steps = plan_epoch(lengths, {.texts_per_step = 4, .tokens_per_step = 1000}, 0);
  int64_t total = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    int64_t tokens = 0;
    for (const int32_t text : steps[i]) tokens += lengths[text];
    total += tokens;
    if (tokens > 1000) {
      EXPECT_EQ(steps[i], Step{17});
    }
    // Full: the next text would not have fitted.
    if (i + 1 < steps.size()) {
      EXPECT_GT(tokens + lengths[steps[i + 1][0]], 1000);
    }
  }
  EXPECT_EQ(total, std::accumulate(lengths.begin(), lengths.end(), int64_t{0}));
}

TEST(BatchPlan, MicroBatchesCoverTheStepInOrder) {
  const std::vector<int32_t> lengths{10, 900, 40, 60, 2000, 5};
  const Step step{1, 0, 2, 3, 4, 5};
  const auto parts = split_step(step, lengths, 1000);
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (const MicroBatch& part : parts) ranges.emplace_back(part.begin, part.end);
  EXPECT_EQ(ranges, (std::vector<std::pair<int64_t, int64_t>>{{0, 3}, {3, 4}, {4, 5}, {5, 6}}));
}

}  // namespace
}  // namespace aid::train
