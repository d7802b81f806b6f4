// Training on a GPU, whichever it is: the CPU's numbers, and the same bits when it is interrupted and resumed.
#include <gtest/gtest.h>

#include <cctype>
#include <tuple>

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

class TwentySteps : public testing::TestWithParam<std::tuple<Architecture, DType>> {};

TEST_P(TwentySteps, EqualTheCpus) {
  const auto [architecture, compute] = GetParam();
  const io::test::TemporaryFolder folder;
  for (const Target target : {default_target(), Target::cuda}) {
    TinyRun run = run_in(folder / (target == Target::cuda ? "gpu" : "cpu"), target, compute);
    run.architecture = architecture;
    run.run();
  }
  const auto cpu = logged(folder / "cpu"), gpu = logged(folder / "gpu");
  ASSERT_EQ(cpu.size(), 20u);
  ASSERT_EQ(gpu.size(), 20u);
  // Several times what was seen: sums run in another order, which f32 shows in its last digit and bf16 in some of its
  // 8 bits.
  const double tolerance = compute == DType::f32 ? 2e-6 : 1e-2;
  // The ReLU in DistilBERT's head takes a unit's whole gradient away where bf16's rounding decides the sign of its
  // input: weights that differ by less than that rounding move the norm by up to a tenth on the CPU alone.
  const bool relu = architecture == Architecture::distilbert && compute == DType::bf16;
  const double norm_tolerance = relu ? 0.1 : tolerance;
  for (size_t i = 0; i < cpu.size(); ++i) {
    EXPECT_NEAR(gpu[i].loss, cpu[i].loss, tolerance * cpu[i].loss) << "step " << i + 1;
    EXPECT_NEAR(gpu[i].norm, cpu[i].norm, norm_tolerance * cpu[i].norm) << "step " << i + 1;
  }
}

INSTANTIATE_TEST_SUITE_P(TrainingOnGpu, TwentySteps,
                         testing::Combine(testing::Values(Architecture::bert, Architecture::distilbert),
                                          testing::Values(DType::f32, DType::bf16)),
                         [](const auto& test) {
                           return (std::get<0>(test.param) == Architecture::bert ? "bert_" : "distilbert_") +
                                  std::string(name_of(std::get<1>(test.param)));
                         });

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
