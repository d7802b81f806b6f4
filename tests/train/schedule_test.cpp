#include "train/loop/schedule.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace aid::train {
namespace {

TEST(Schedule, EqualsTransformers) {
  const auto cases = nlohmann::json::parse(std::ifstream(AID_SOURCE_DIR "/tests/golden/schedule.json"));
  for (const auto& c : cases) {
    const std::string shape = c["shape"];
    const Schedule schedule{.shape = shape == "linear"   ? Schedule::Shape::linear
                                     : shape == "cosine" ? Schedule::Shape::cosine
                                                         : Schedule::Shape::constant,
                            .warmup_steps = c["warmup"],
                            .total_steps = c["total"]};
    for (size_t step = 0; step < c["factors"].size(); ++step) {
      EXPECT_NEAR(schedule.factor(static_cast<int64_t>(step)), c["factors"][step].get<double>(), 1e-15)
          << shape << ", warm-up " << c["warmup"] << " of " << c["total"] << ", step " << step;
    }
  }
}

TEST(Schedule, WarmupStepsWinOverTheRatioWhichIsRoundedUp) {
  EXPECT_EQ(Schedule::warmup(7, 0.5, 100), 7);
  EXPECT_EQ(Schedule::warmup(0, 0.1, 101), 11);
  EXPECT_EQ(Schedule::warmup(0, 0, 101), 0);
}

}  // namespace
}  // namespace aid::train
