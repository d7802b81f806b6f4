// Counters of work and traffic, of all blocks and of a sample.
#include <gtest/gtest.h>

#include <numeric>

#include "tests/softgpu/device.h"

namespace softgpu {
namespace {

constexpr int kRows = 48, kColumns = 256;

// kernels.cu's layer_norm goes over its row three times, and every block reads the same gamma and beta.
LaunchResult layer_norm(uint64_t sampled_blocks) {
  static const auto kernels = load_ptx("kernels");
  const Array<float> x(std::vector<float>(kRows * kColumns, 1.0f)), gamma(std::vector<float>(kColumns, 1.0f)),
      beta(std::vector<float>(kColumns, 0.0f));
  const Array<float> y(size_t(kRows) * kColumns);
  return run(*kernels, "layer_norm", {.grid = {kRows, 1, 1}, .block = {128, 1, 1}},
             {.checks = false, .counters = true, .sampled_blocks = sampled_blocks}, x.get(), gamma.get(), beta.get(),
             y.get(), kColumns, 1e-5f);
}

TEST(Counters, WhatAWarpReadsAgainIsMovedAgainAndWhatBlocksShareIsNot) {
  for (const uint64_t sampled : {0, 8}) {
    const LaunchResult r = layer_norm(sampled);
    EXPECT_EQ(r.traffic.read, 4u * (3 * kRows * kColumns + 2 * kColumns)) << sampled << " blocks";
    EXPECT_EQ(r.traffic.written, 4u * kRows * kColumns) << sampled << " blocks";
  }
}

TEST(Counters, ASampleStandsForAllBlocks) {
  const LineCounters all = layer_norm(0).total(), some = layer_norm(8).total();
  EXPECT_EQ(some.instructions, all.instructions);
  EXPECT_EQ(some.by_pipe, all.by_pipe);
  EXPECT_EQ(some.global_sectors, all.global_sectors);
  EXPECT_EQ(some.shared_passes, all.shared_passes);
}

TEST(Counters, EveryInstructionHasAPipe) {
  const LineCounters all = layer_norm(0).total();
  EXPECT_EQ(std::accumulate(all.by_pipe.begin(), all.by_pipe.end(), uint64_t{0}), all.instructions);
  const auto count = [&](Pipe pipe) { return all.by_pipe[size_t(pipe)]; };
  // Of a row, 4 warps: each of a warp's two sums has 5 shuffles and a store, 4 loads of partial sums; x, gamma and
  // beta.
  EXPECT_GE(count(Pipe::memory), uint64_t(kRows) * 4 * (2 * (5 + 4) + 3 * 2 + 2 * 2 + 2));
  EXPECT_GT(count(Pipe::fma), uint64_t(kRows) * 4 * 2 * 4);
  EXPECT_EQ(count(Pipe::tensor), 0u);
  EXPECT_EQ(count(Pipe::fp64), 0u);
}

TEST(Counters, PipesOfOpcodes) {
  for (const auto& [opcode, pipe] : std::initializer_list<std::pair<const char*, Pipe>>{
           {"fma.rn.f32", Pipe::fma},
           {"add.f32", Pipe::fma},
           {"mad.lo.s32", Pipe::fma},
           {"fma.rn.bf16x2", Pipe::fma},
           {"add.s64", Pipe::alu},
           {"setp.lt.f32", Pipe::alu},
           {"max.f32", Pipe::alu},
           {"cvt.rn.bf16x2.f32", Pipe::alu},
           {"cvt.u64.u32", Pipe::alu},
           {"cvt.rn.f32.s32", Pipe::special},
           {"ex2.approx.ftz.f32", Pipe::special},
           {"div.rn.f32", Pipe::special},
           {"add.f64", Pipe::fp64},
           {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", Pipe::tensor},
           {"ld.global.v4.f32", Pipe::memory},
           {"ld.param.u64", Pipe::none},
           {"cp.async.cg.shared.global", Pipe::memory},
           {"shfl.sync.bfly.b32", Pipe::memory},
           {"bar.sync", Pipe::control},
           {"mov.u32", Pipe::none},
           {"", Pipe::none},
       }) {
    EXPECT_EQ(name(pipe_of(opcode)), std::string(name(pipe))) << opcode;
  }
}

}  // namespace
}  // namespace softgpu
