// Which texts make which optimizer step. A plan is a pure function of (lengths, options, epoch): a resumed run needs
// only its place (epoch, step), and nothing of it depends on threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace aid::train {

struct BatchPlanOptions {
  // shuffled          a new random order every epoch (Trainer's default)
  // group_by_length   Trainer's group_by_length: the shuffled order is cut into mega-batches of 50 steps, each sorted
  // by
  //                   length, the longest text of all first. Texts of a step have similar lengths.
  enum class Order : uint8_t { shuffled, group_by_length };
  Order order = Order::shuffled;
  int64_t texts_per_step = 32;  // batch size times gradient accumulation; the last step of an epoch may have fewer
  // Above 0: a step takes texts until their tokens would pass this, whatever their number (a longer text is a step of
  // its own). Its loss is the mean over its texts all the same.
  int64_t tokens_per_step = 0;
  uint64_t seed = 42;
};

using Step = std::vector<int32_t>;  // indices of texts

// lengths: tokens of each text, all its windows together. Every text is in exactly one step.
std::vector<Step> plan_epoch(std::span<const int32_t> lengths, const BatchPlanOptions& options, int64_t epoch);

// Cuts a step into micro-batches [begin, end) of its texts, each of at most max_tokens (a longer text is alone), so
// that memory does not depend on the size of the step.
struct MicroBatch {
  int64_t begin, end;
};
std::vector<MicroBatch> split_step(std::span<const int32_t> texts, std::span<const int32_t> lengths,
                                   int64_t max_tokens);

}  // namespace aid::train
