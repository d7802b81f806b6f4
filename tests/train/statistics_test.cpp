#include "train/metrics/statistics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/file.h"

namespace aid::train {
namespace {

using nlohmann::json;

// Both sides are f64 formulas of a few operations; a tail of 2,500 terms loses the most.
constexpr double kTolerance = 1e-12;

// A reference: a loop over a part of a temporary would be one over nothing.
const json& golden_cases() {
  static const json cases = json::parse(io::read_text(AID_SOURCE_DIR "/tests/golden/statistics.json"));
  return cases;
}

TEST(Statistics, WilsonIntervalsAreScipys) {
  for (const json& c : golden_cases().at("wilson")) {
    SCOPED_TRACE(c.dump());
    const Interval interval = wilson_interval(c[0], c[1]);
    EXPECT_NEAR(interval.low, c[2].get<double>(), kTolerance);
    EXPECT_NEAR(interval.high, c[3].get<double>(), kTolerance);
  }
  EXPECT_EQ(wilson_interval(0, 0).low, 0);
  EXPECT_EQ(wilson_interval(0, 0).high, 1);
}

TEST(Statistics, McNemarsTestIsScipysBinomialTest) {
  for (const json& c : golden_cases().at("mcnemar")) {
    SCOPED_TRACE(c.dump());
    EXPECT_NEAR(mcnemar_exact(c[0], c[1]), c[2].get<double>(), kTolerance);
    EXPECT_NEAR(mcnemar_exact(c[1], c[0]), c[2].get<double>(), kTolerance);
  }
}

TEST(Statistics, PairedIntervalsAreNewcombes) {
  for (const json& c : golden_cases().at("newcombe")) {
    SCOPED_TRACE(c.dump());
    const Interval interval =
        paired_difference_interval({.both = c[0], .only_new = c[1], .only_old = c[2], .neither = c[3]});
    EXPECT_NEAR(interval.low, c[4].get<double>(), kTolerance);
    EXPECT_NEAR(interval.high, c[5].get<double>(), kTolerance);
  }
}

}  // namespace
}  // namespace aid::train
