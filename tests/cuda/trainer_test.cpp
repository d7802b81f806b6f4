// The training loop on the software GPU, which can be steered: the same bits in every order, one wait a step, and
// nothing lost when a call fails.
#include "train/trainer.h"

#include <gtest/gtest.h>

#include "kernels/device/runtime.h"
#include "tests/cuda/twenty_steps.h"
#include "tests/io/test_files.h"
#include "tests/softgpu/runtime/control.h"

namespace aid::train::test {
namespace {

using io::test::TemporaryFolder;

class TrainerOnGpu : public testing::Test {
 protected:
  void TearDown() override {
    softgpu::clear_failures();
    softgpu::set_launch_options(softgpu::LaunchOptions{});
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

// For the step's numbers at its end, and for the staging memory's turn: until the device has passed the copies of the
// batch before, which is long before it is through with that batch.
TEST_F(TrainerOnGpu, TheHostWaitsForNumbersAndStagingOnly) {
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
  const std::vector<std::string> expected = {"cudaEventSynchronize", "cudaStreamSynchronize"};
  for (size_t i = 2; i < waits.size(); ++i) EXPECT_EQ(waits[i], expected) << "step " << i + 1;  // the first allocate
}

TEST_F(TrainerOnGpu, AFailingCallIsToldAndTheCheckpointStays) {
  for (const char* call : {"cudaLaunchKernel", "cudaMemcpyAsync", "kernel"}) {
    TinyRun run = run_in(folder_ / call, Target::cuda);
    run.save_every = 2;
    int steps = 0;
    run.stop_requested = [&, call] {
      if (++steps == 5) softgpu::fail_call(call, 3, cudaErrorLaunchFailure);
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
  }
  run_in(folder_ / "whole", Target::cuda).run();
  for (const char* call : {"cudaLaunchKernel", "cudaMemcpyAsync", "kernel"}) {
    EXPECT_EQ(differences(files_of(folder_ / "whole"), files_of(folder_ / call)), std::vector<std::string>{}) << call;
  }
}

}  // namespace
}  // namespace aid::train::test
