#include "kernels/core/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace aid::test {
namespace {

// philox4x32-10 of Random123's known-answer file (tests/kat_vectors).
TEST(Philox, KnownAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox::block({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox::block({~0u, ~0u, ~0u, ~0u}, ~uint64_t{0}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox::block({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

constexpr int kRows = 64, kColumns = 1024, kCount = kRows * kColumns;

std::vector<double> kept(const Dropout& dropout) {
  std::vector<double> mask;
  for (uint32_t row = 0; row < kRows; ++row) {
    for (uint32_t column = 0; column < kColumns; ++column) mask.push_back(philox::keep(dropout, row, column));
  }
  return mask;
}

// Mean and correlations of the masks stay within five standard deviations of what independent draws would have.
TEST(Philox, MeanIsTheKeptFraction) {
  for (const float p : {0.1f, 0.5f}) {
    const Dropout dropout = {.p = p, .seed = 1};
    double sum = 0;
    for (const double keep : kept(dropout)) sum += keep;
    const double q = 1 / dropout.scale();
    EXPECT_NEAR(sum / kCount, q, 5 * std::sqrt(q * (1 - q) / kCount));
    EXPECT_NEAR(q, 1 - p, 1.0 / 65536);
  }
}

double correlation(const std::vector<double>& a, const std::vector<double>& b, size_t lag) {
  const double mean = 0.5;
  double sum = 0;
  for (size_t i = 0; i + lag < a.size(); ++i) sum += (a[i] - mean) * (b[i + lag] - mean);
  return sum / (0.25 * static_cast<double>(a.size() - lag));
}

TEST(Philox, SeedsStepsSitesRowsAndColumnsAreIndependent) {
  constexpr double kFiveDeviations = 5.0 / 256;  // 5 / sqrt(65536)
  const Dropout dropout = {.p = 0.5f, .seed = 1, .step = 1, .site = 1};
  const auto mask = kept(dropout);
  for (const Dropout& other :
       {Dropout{.p = 0.5f, .seed = 2, .step = 1, .site = 1},
        Dropout{.p = 0.5f, .seed = uint64_t{1} << 32 | 1, .step = 1, .site = 1},
        Dropout{.p = 0.5f, .seed = 1, .step = 2, .site = 1}, Dropout{.p = 0.5f, .seed = 1, .step = 1, .site = 2}}) {
    EXPECT_NEAR(correlation(mask, kept(other), 0), 0, kFiveDeviations);
  }
  for (const size_t lag : {1, 2, 15, 16, 17, 32, 128, 1024}) {  // neighbours, blocks, groups, rows
    EXPECT_NEAR(correlation(mask, mask, lag), 0, kFiveDeviations) << "lag " << lag;
  }
}

}  // namespace
}  // namespace aid::test
