// The training loop on the software GPU, which can be steered: the same bits in every order, one wait a step, steps of
// one shape as graphs, and nothing lost when a call fails.
#include "train/loop/trainer.h"

#include <gtest/gtest.h>

#include "kernels/device/runtime.h"
#include "tests/cuda/calls.h"
#include "tests/cuda/twenty_steps.h"
#include "tests/io/test_files.h"

namespace aid::train::test {
namespace {

using aid::test::Calls;
using io::test::TemporaryFolder;

class TrainerOnGpu : public testing::Test {
 protected:
  void TearDown() override {
    softgpu::clear_failures();
    softgpu::set_launch_options(softgpu::LaunchOptions{});
    softgpu::set_stream_order(softgpu::StreamOrder::latest);
  }
  TemporaryFolder folder_;
};

TEST_F(TrainerOnGpu, SameBitsInEveryOrder) {
  run_in(folder_ / "forward", Target::cuda).run();
  for (const softgpu::Order order : {softgpu::Order::reverse, softgpu::Order::random}) {
    softgpu::LaunchOptions options;
    options.order = order;
    options.seed = 7;
    softgpu::set_launch_options(options);
    const auto other = folder_ / ("order" + std::to_string(static_cast<int>(order)));
    run_in(other, Target::cuda).run();
    EXPECT_EQ(differences(files_of(folder_ / "forward"), files_of(other)), std::vector<std::string>{});
  }
}

TEST_F(TrainerOnGpu, TheHostWaitsOnceAStep) {
  TinyRun run = run_in(folder_ / "run", Target::cuda);
  run.windows = 1;
  std::vector<std::vector<std::string>> waits;
  run.stop_requested = [&] {  // after every step
    waits.push_back(softgpu::host_waits());
    softgpu::clear_host_waits();
    return waits.size() == 9;
  };
  run.run();
  ASSERT_EQ(waits.size(), 9u);
  const std::vector<std::string> expected = {"cudaStreamSynchronize"};  // for the step's numbers
  for (size_t i = 2; i < waits.size(); ++i) EXPECT_EQ(waits[i], expected) << "step " << i + 1;  // the first allocate
}

// The calls of each step of an epoch.
std::vector<Calls> calls_of_steps(TinyRun run) {
  std::vector<Calls> steps;
  Calls before;
  run.stop_requested = [&] {
    const Calls now;
    steps.push_back(now - before);
    before = now;
    return steps.size() == 10;
  };
  run.run();
  EXPECT_EQ(steps.size(), 10u);
  return steps;
}

// Dropout's step, AdamW's factors and the batch's different words are what changes between steps of a shape.
TEST_F(TrainerOnGpu, StepsOfOneShapeAreOneGraph) {
  TinyRun run = run_in(folder_ / "same", Target::cuda);
  run.words = run.windows = 1;
  const std::vector<Calls> steps = calls_of_steps(run);
  EXPECT_EQ(steps[0].launches, 0u);
  EXPECT_EQ(steps[1].graphs, 1u);
  const uint64_t kernels = steps[1].kernels;
  for (size_t i = 2; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i].launches, 1u) << i;
    EXPECT_EQ(steps[i].kernels + steps[i].copies + steps[i].graphs + steps[i].changed_copies, 0u) << i;
    EXPECT_LT(steps[i].changed_kernels, kernels / 2) << i;
  }
  run.folder = folder_ / "without";
  run.graphs = false;
  const std::vector<Calls> plain = calls_of_steps(run);
  for (size_t i = 2; i < plain.size(); ++i) EXPECT_EQ(plain[i].kernels, kernels) << i;
  // A steady step copies its batch to the device and its numbers back, no tables.
  EXPECT_EQ(plain[5].copies + 2, plain[0].copies);
}

TEST_F(TrainerOnGpu, StepsOfOtherShapesAreNone) {
  TinyRun run = run_in(folder_ / "run", Target::cuda);
  for (const Calls& step : calls_of_steps(run)) EXPECT_EQ(step.graphs + step.launches, 0u);
}

// Shapes that come again now and then, some of two parts.
TEST_F(TrainerOnGpu, GraphsChangeNoBit) {
  for (const DType compute : {DType::f32, DType::bf16}) {
    TinyRun run = run_in(folder_ / name_of(compute), Target::cuda, compute);
    run.recipe.batch_size = 2;
    run.recipe.epochs = 1;
    run.words = 2;
    run.windows = 1;
    run.tokens_per_pass = 7;  // two texts of three tokens, not of four
    run.graphs = false;
    run.run();
    const auto expected = files_of(run.folder);
    run.graphs = true;
    for (const uint64_t seed : {1, 2}) {
      softgpu::LaunchOptions options;
      options.order = softgpu::Order::random;
      options.seed = seed;
      softgpu::set_launch_options(options);
      softgpu::set_stream_order(softgpu::StreamOrder::random, seed);
      run.folder = folder_ / (name_of(compute) + std::to_string(seed));
      const Calls before;
      run.run();
      EXPECT_GT((Calls() - before).launches, 10u);
      EXPECT_EQ(differences(expected, files_of(run.folder)), std::vector<std::string>{}) << seed;
    }
  }
}

TEST_F(TrainerOnGpu, AFailingCallIsToldAndTheCheckpointStays) {
  const auto run_of = [&](const std::string& name, int words) {
    TinyRun run = run_in(folder_ / name, Target::cuda);
    run.recipe.epochs = 1;
    run.words = words;
    if (words == 1) run.windows = 1;
    return run;
  };
  // In steps of all shapes, and of one: as a graph.
  for (const auto& [words, calls] :
       {std::pair{20, std::vector{"cudaLaunchKernel", "cudaMemcpyAsync", "kernel"}},
        std::pair{1, std::vector{"cudaGraphExecKernelNodeSetParams", "cudaGraphLaunch", "kernel"}}}) {
    const std::string whole = "whole" + std::to_string(words);
    run_of(whole, words).run();
    for (const char* call : calls) {
      TinyRun run = run_of(call + std::to_string(words), words);
      run.save_every = 2;
      int steps = 0;
      run.stop_requested = [&, failing = call] {
        if (++steps == 5) softgpu::fail_call(failing, 1, cudaErrorLaunchFailure);
        return false;
      };
      try {
        run.run();
        ADD_FAILURE() << call << ": no error";
      } catch (const CudaError& error) {
        EXPECT_NE(std::string(error.what()).find("unspecified launch failure"), std::string::npos) << error.what();
      }
      softgpu::reset_runtime();
      softgpu::clear_reports();  // what the failed process left behind
      run.stop_requested = [] { return false; };
      EXPECT_EQ(run.run(true).outcome, Trainer::Outcome::finished) << call;
      EXPECT_EQ(differences(files_of(folder_ / whole), files_of(run.folder)), std::vector<std::string>{}) << call;
    }
  }
}

TEST_F(TrainerOnGpu, AGraphThatCannotBeMadeIsToldAndTheCheckpointStays) {
  TinyRun run = run_in(folder_ / "run", Target::cuda);
  run.recipe.epochs = run.words = run.windows = 1;
  run.save_every = 1;
  softgpu::fail_call("cudaGraphInstantiate", 1, cudaErrorMemoryAllocation);
  EXPECT_THROW(run.run(), CudaError);
  softgpu::reset_runtime();
  softgpu::clear_reports();
  EXPECT_EQ(run.run(true).outcome, Trainer::Outcome::finished);
  TinyRun whole = run;
  whole.folder = folder_ / "whole";
  whole.run();
  EXPECT_EQ(differences(files_of(whole.folder), files_of(run.folder)), std::vector<std::string>{});
}

}  // namespace
}  // namespace aid::train::test
