// Dropout's random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11),
// keyed by (seed, step, site, row, element). A mask therefore depends on what an element is and never on threads,
// targets or packing, and backward recomputes it instead of storing it.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace aid {

// p = 0 switches dropout off. An element is kept with probability 1-p and then scaled by scale().
struct Dropout {
  float p = 0;        // [0, 1)
  uint64_t seed = 0;  // of the run
  uint32_t step = 0;  // optimizer step
  uint32_t site = 0;  // which dropout of the model; for attention, (site << 8 | head)

  bool on() const { return p > 0; }
  // Elements whose 16 random bits are below this are dropped.
  uint32_t threshold() const { return static_cast<uint32_t>(std::lround(p * 65536.0)); }
  // 1 / (probability to be kept), exactly for the 16-bit threshold, so that the expectation is unbiased.
  float scale() const { return 65536.0f / (65536.0f - static_cast<float>(threshold())); }
};

namespace philox {

constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
constexpr int kRounds = 10;

// The reference's philox4x32 block function.
constexpr std::array<uint32_t, 4> block(std::array<uint32_t, 4> counter, uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t product0 = uint64_t{kMultiplier0} * counter[0], product1 = uint64_t{kMultiplier1} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ k1, static_cast<uint32_t>(product0)};
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  return counter;
}

// The 16 random bits of `element` (a column, or a key's position in attention) of row `row` (an id of the token that
// does not depend on packing). Groups of 128 elements use 16 blocks of 8 numbers; element e of a group takes number e /
// 16 of block e % 16, so that a vector of blocks yields vectors of neighbouring elements.
constexpr uint32_t bits16(const Dropout& dropout, uint32_t row, uint32_t element) {
  const uint32_t group = element / 128, number = element % 128 / 16, lane = element % 16;
  const auto words = block({group * 16 + lane, row, dropout.site, dropout.step}, dropout.seed);
  return (number & 1) != 0 ? words[number / 2] >> 16 : words[number / 2] & 0xffffu;
}

inline bool keep(const Dropout& dropout, uint32_t row, uint32_t element) {
  return bits16(dropout, row, element) >= dropout.threshold();
}

}  // namespace philox
}  // namespace aid
