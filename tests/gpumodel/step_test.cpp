// What the kernels of BETO's training step and of spaCy's text categorizer ask of a GPU's memory, counted on the
// software GPU at their real shapes: whole sectors only, no bank twice in a pass, every operand across the bus once.
#include "tests/gpumodel/step.h"

#include <gtest/gtest.h>

#include <map>

namespace aid::gpumodel {
namespace {

constexpr int64_t kTokens = 64 * 128, kHidden = 768;

// By op, of all its calls together.
struct OpSum {
  int64_t bytes = 0;
  softgpu::Traffic traffic;
};

std::map<std::string, OpSum> sums_of(const std::vector<Op>& ops) {
  std::map<std::string, OpSum> sums;
  for (const Op& op : ops) {
    OpSum& sum = sums[op.name];
    sum.bytes += op.bytes;
    for (const softgpu::Launch& launch : op.launches) {
      sum.traffic.read += launch.result.traffic.read;
      sum.traffic.written += launch.result.traffic.written;
    }
  }
  return sums;
}

// "kernels/rows/x.cu:40" of every line whose requests took more than they had to.
std::string wasteful_lines(const softgpu::LaunchResult& result) {
  std::string text;
  for (const auto& [line, c] : result.lines) {
    if (c.global_sectors <= c.global_ideal_sectors && c.shared_passes <= c.shared_ideal_passes) continue;
    text += "\n  " + line.first + ":" + std::to_string(line.second) + ": " + std::to_string(c.global_sectors) +
            " sectors, at best " + std::to_string(c.global_ideal_sectors) + "; " + std::to_string(c.shared_passes) +
            " passes of shared memory, at best " + std::to_string(c.shared_ideal_passes);
  }
  return text;
}

void expect_fewest_sectors(const std::vector<Op>& ops) {
  for (const Op& op : ops) {
    for (const softgpu::Launch& launch : op.launches) {
      const softgpu::LineCounters c = launch.result.total();
      // The log-sums of attention lie by token and head: eight queries of one head meet 8 sectors where 1 would do,
      // beside the 128 of their q, k, v and out. The chunks' sums of the norm, a hundred-thousandth of its bytes, begin
      // anywhere.
      const double allowed = op.name.starts_with("attention")             ? 1.055
                             : short_name(launch.kernel) == "norm_kernel" ? 1.1
                                                                          : 1;
      EXPECT_LE(static_cast<double>(c.global_sectors), allowed * static_cast<double>(c.global_ideal_sectors))
          << op.name << ": " << short_name(launch.kernel) << wasteful_lines(launch.result);
    }
  }
}

void expect_no_bank_conflicts(const std::vector<Op>& ops) {
  for (const Op& op : ops) {
    for (const softgpu::Launch& launch : op.launches) {
      const softgpu::LineCounters c = launch.result.total();
      EXPECT_EQ(c.shared_passes, c.shared_ideal_passes)
          << op.name << ": " << short_name(launch.kernel) << wasteful_lines(launch.result);
    }
  }
}

// Of each of these ops about the bytes that it states.
void expect_moved(const std::map<std::string, OpSum>& of, const std::vector<std::string>& expected) {
  for (const std::string& op : expected) {
    const auto found = of.find(op);
    ASSERT_NE(found, of.end()) << op << " did not run";
    const OpSum& sum = found->second;
    const double moved = static_cast<double>(sum.traffic.read + sum.traffic.written);
    EXPECT_LE(moved, 1.1 * static_cast<double>(sum.bytes)) << op;
    EXPECT_GE(moved, 0.9 * static_cast<double>(sum.bytes)) << op << ": the counters miss something";
  }
}

void expect_bytes_near_the_least(const std::vector<Op>& ops, int64_t element) {
  auto of = sums_of(ops);
  // Two kernels, neither with atomics, so that each reads q, k, v and dout: 12 matrices cross the bus where one kernel
  // would move 8 (attention_backward.cu).
  of.at("attention_backward").bytes = of.at("attention_backward").bytes * 12 / 8;
  // dy's two parts are read, and the words' rows; dz is written, and read for each of three tables; the word table's
  // rows, of which random ids repeat few, are read, added to and written.
  of.at("embedding_layer_norm_backward").bytes = kTokens * kHidden * (2 * element + 4 + 4 + 3 * 4 + 4 + 4);
  std::vector<std::string> expected = {"embedding_layer_norm_forward",
                                       "embedding_layer_norm_backward",
                                       "residual_layer_norm_forward",
                                       "residual_layer_norm_backward",
                                       "attention_forward",
                                       "attention_backward",
                                       "activation_forward",
                                       "activation_backward",
                                       "global_norm",
                                       "adamw",
                                       "dropout_forward",
                                       "gather_rows",
                                       "scatter_add_rows"};
  if (element < 4) expected.push_back("cast");  // between the encoder and the head, which is in f32
  expect_moved(of, expected);
}

class GpuModel : public testing::TestWithParam<DType> {};

TEST_P(GpuModel, TrainingStepAsksMemoryForNoMoreThanItMust) {
  const std::vector<Op> ops = count_step({.compute = GetParam(),
                                          .training = true,
                                          .batch = kTokens / 128,
                                          .length = 128,
                                          .layers = 2,
                                          .sampled_blocks = 64});
  expect_fewest_sectors(ops);
  expect_no_bank_conflicts(ops);
  expect_bytes_near_the_least(ops, static_cast<int64_t>(size_of(GetParam())));
}

INSTANTIATE_TEST_SUITE_P(Training, GpuModel, testing::Values(DType::f32, DType::bf16),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST(GpuModelTextcat, OpsAskMemoryForNoMoreThanTheyMust) {
  std::vector<Op> ops = count_textcat(64);
  expect_no_bank_conflicts(ops);
  // Not of ops whose rows of a table a sample of blocks cannot count, nor of attention, which reads x twice.
  expect_moved(sums_of(ops), {"expand_window_forward", "expand_window_backward", "maxout_layer_norm_forward",
                              "maxout_layer_norm_backward", "segment_reduce_forward", "segment_reduce_backward"});
  // A bag of words' weights lie anywhere: a sector for each.
  std::erase_if(ops, [](const Op& op) { return op.name.starts_with("sparse_linear"); });
  expect_fewest_sectors(ops);
}

// A sample of blocks stands for all: the same counters, but for what ragged ends make, from some of them as from all.
TEST(GpuModelSample, EqualsTheWhole) {
  const StepShape shape = {.batch = 4, .length = 32, .layers = 2};
  StepShape whole = shape, part = shape;
  whole.sampled_blocks = 1 << 20;
  part.sampled_blocks = 16;
  const std::vector<Op> all = count_step(whole), some = count_step(part);
  ASSERT_EQ(all.size(), some.size());
  for (size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i].launches.size(), some[i].launches.size()) << all[i].name;
    for (size_t n = 0; n < all[i].launches.size(); ++n) {
      const softgpu::LaunchResult &a = all[i].launches[n].result, &b = some[i].launches[n].result;
      const double whole_bytes = static_cast<double>(a.traffic.read + a.traffic.written);
      EXPECT_NEAR(static_cast<double>(b.traffic.read + b.traffic.written), whole_bytes, 0.1 * whole_bytes)
          << all[i].name;
      const double instructions = static_cast<double>(a.total().instructions);
      EXPECT_NEAR(static_cast<double>(b.total().instructions), instructions, 0.05 * instructions) << all[i].name;
    }
  }
}

}  // namespace
}  // namespace aid::gpumodel
