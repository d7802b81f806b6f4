// Training on a GPU, whichever it is: the CPU's numbers, and the same bits when it is interrupted and resumed.
#include <gtest/gtest.h>

#include <cctype>

#include "tests/cuda/twenty_steps.h"
#include "tests/io/test_files.h"

namespace aid::train::test {
namespace {

// Columns loss and grad_norm of log.csv's lines of steps.
struct Logged {
  double loss, norm;
};
std::vector<Logged> logged(const std::filesystem::path& folder) {
  std::vector<Logged> steps;
  for (const auto& line : log_of(folder)) {
    if (line.size() > 4 && !line[2].empty() && std::isdigit(static_cast<unsigned char>(line[2][0])) != 0) {
      steps.push_back({std::stod(line[2]), std::stod(line[4])});
    }
  }
  return steps;
}

TEST(TrainingOnGpu, TwentyStepsEqualTheCpus) {
  const io::test::TemporaryFolder folder;
  for (const DType compute : {DType::f32, DType::bf16}) {
    const std::string name = name_of(compute);
    run_in(folder / ("cpu" + name), default_target(), compute).run();
    run_in(folder / ("gpu" + name), Target::cuda, compute).run();
    const auto cpu = logged(folder / ("cpu" + name)), gpu = logged(folder / ("gpu" + name));
    ASSERT_EQ(cpu.size(), 20u);
    ASSERT_EQ(gpu.size(), 20u);
    // Several times what was seen: sums run in another order, which f32 shows in its last digit and bf16 in some of its
    // 8 bits.
    const double tolerance = compute == DType::f32 ? 2e-6 : 1e-2;
    for (size_t i = 0; i < cpu.size(); ++i) {
      EXPECT_NEAR(gpu[i].loss, cpu[i].loss, tolerance * cpu[i].loss) << name << " step " << i + 1;
      EXPECT_NEAR(gpu[i].norm, cpu[i].norm, tolerance * cpu[i].norm) << name << " step " << i + 1;
    }
  }
}

TEST(TrainingOnGpu, ResumesBitForBit) {
  const io::test::TemporaryFolder folder;
  run_in(folder / "whole", Target::cuda).run();
  TinyRun half = run_in(folder / "halves", Target::cuda);
  int steps = 0;
  half.stop_requested = [&] { return ++steps == 7; };
  EXPECT_EQ(half.run().outcome, Trainer::Outcome::interrupted);
  half.stop_requested = [] { return false; };
  half.run(true);
  EXPECT_EQ(differences(files_of(folder / "whole"), files_of(folder / "halves")), std::vector<std::string>{});
}

}  // namespace
}  // namespace aid::train::test
