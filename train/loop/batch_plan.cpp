#include "train/loop/batch_plan.h"

#include <algorithm>
#include <numeric>

#include "kernels/core/check.h"
#include "kernels/core/philox.h"

namespace aid::train {
namespace {

// Fisher and Yates' shuffle on Philox words; a 64-bit word modulo n is biased by less than n / 2^64.
std::vector<int32_t> shuffled(int64_t n, uint64_t seed, int64_t epoch) {
  std::vector<int32_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  constexpr uint32_t kPurpose = 0x73687566u;  // keeps these draws apart from dropout's under the same seed
  for (int64_t i = n - 1; i > 0; --i) {
    const auto words = philox::block({static_cast<uint32_t>(i), static_cast<uint32_t>(epoch), kPurpose, 0}, seed);
    const uint64_t word = uint64_t{words[0]} << 32 | words[1];
    std::swap(order[static_cast<size_t>(i)], order[word % static_cast<uint64_t>(i + 1)]);
  }
  return order;
}

// transformers' get_length_grouped_indices (trainer_pt_utils.py) on our shuffle.
void group_by_length(std::vector<int32_t>& order, std::span<const int32_t> lengths, int64_t texts_per_step) {
  const int64_t n = static_cast<int64_t>(order.size());
  const int64_t steps = std::max<int64_t>(1, std::min<int64_t>(n / (texts_per_step * 4), 50));
  const auto longer = [&](int32_t a, int32_t b) { return lengths[a] > lengths[b]; };
  size_t longest = 0;
  for (int64_t begin = 0; begin < n; begin += steps * texts_per_step) {
    const int64_t end = std::min(n, begin + steps * texts_per_step);
    std::stable_sort(order.begin() + begin, order.begin() + end, longer);
    if (longer(order[static_cast<size_t>(begin)], order[longest])) longest = static_cast<size_t>(begin);
  }
  std::swap(order[0], order[longest]);
}

}  // namespace

std::vector<Step> plan_epoch(std::span<const int32_t> lengths, const BatchPlanOptions& options, int64_t epoch) {
  AID_CHECK(!lengths.empty() && options.texts_per_step > 0, "batch plan: ", lengths.size(), " texts in steps of ",
            options.texts_per_step);
  std::vector<int32_t> order = shuffled(static_cast<int64_t>(lengths.size()), options.seed, epoch);
  if (options.order == BatchPlanOptions::Order::group_by_length) {
    group_by_length(order, lengths, options.texts_per_step);
  }
  std::vector<Step> steps;
  int64_t tokens = 0;
  for (const int32_t text : order) {
    const bool full = !steps.empty() && (options.tokens_per_step > 0
                                             ? tokens + lengths[text] > options.tokens_per_step
                                             : static_cast<int64_t>(steps.back().size()) == options.texts_per_step);
    if (steps.empty() || full) {
      steps.emplace_back();
      tokens = 0;
    }
    steps.back().push_back(text);
    tokens += lengths[text];
  }
  return steps;
}

std::vector<MicroBatch> split_step(std::span<const int32_t> texts, std::span<const int32_t> lengths,
                                   int64_t max_tokens) {
  std::vector<MicroBatch> parts;
  int64_t tokens = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(texts.size()); ++i) {
    const int64_t length = lengths[texts[static_cast<size_t>(i)]];
    if (parts.empty() || tokens + length > max_tokens) {
      parts.push_back({i, i});
      tokens = 0;
    }
    parts.back().end = i + 1;
    tokens += length;
  }
  return parts;
}

}  // namespace aid::train
