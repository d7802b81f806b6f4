// kernels/core/philox.h on a warp: the same bits.
#pragma once

#include "kernels/core/philox.h"
#include "kernels/device/reduce.cuh"

namespace aid::cuda {

// Dropout as a kernel takes it; made by the host, which knows how to round the probability.
struct DropoutKernel {
  uint64_t seed;
  uint32_t step, site, threshold;
  float scale;
  bool on;

  explicit DropoutKernel(const Dropout& dropout)
      : seed(dropout.seed),
        step(dropout.step),
        site(dropout.site),
        threshold(dropout.on() ? dropout.threshold() : 0),
        scale(dropout.on() ? dropout.scale() : 1.0f),
        on(dropout.on()) {}
};

// Decides about 256 columns of a row at once. These are two groups of 128 elements and so 32 Philox blocks, one for
// each lane; number n of the blocks' eight decides about columns 16 n to 16 n + 15 of the first group in lanes 0 to 15
// and of the second in the others, so that a vote on it is those columns' mask, in their order.
class DropoutMask {
 public:
  static constexpr int kSection = 256;

  __device__ DropoutMask(const DropoutKernel& dropout, int32_t row)
      : dropout_(dropout), row_(static_cast<uint32_t>(row)) {}

  // x * keep / (1 - p) of the N columns from `column`, a multiple of N. All lanes of the warp call it together, for 32 N
  // neighbouring columns of one section.
  template <int N>
  __device__ void apply(int column, float (&x)[N]) {
    static_assert(N <= 16);
    // The warp's first column decides: where the compiler knows it, it knows the section, too.
    const int section = (column - static_cast<int>(threadIdx.x) % kWarp * N) / kSection;
    if (section != section_) decide(section);
    const int number = column % 128 / 16;
    uint32_t mask = votes_[0];
#pragma unroll
    for (int n = 1; n < 8; ++n) mask = n == number ? votes_[n] : mask;
    mask >>= column % kSection / 128 * 16 + column % 16;
#pragma unroll
    for (int i = 0; i < N; ++i) x[i] = (mask >> i & 1u) != 0 ? x[i] * dropout_.scale : 0.0f;
  }

 private:
  __device__ void decide(int section) {
    section_ = section;
    const auto lane = threadIdx.x % kWarp;
    const uint32_t block_index = static_cast<uint32_t>(section) * kWarp + lane;
    uint32_t c0 = block_index, c1 = row_, c2 = dropout_.site, c3 = dropout_.step;
    uint32_t k0 = static_cast<uint32_t>(dropout_.seed), k1 = static_cast<uint32_t>(dropout_.seed >> 32);
#pragma unroll
    for (int round = 0; round < philox::kRounds; ++round) {
      const uint32_t high0 = __umulhi(philox::kMultiplier0, c0), low0 = philox::kMultiplier0 * c0;
      const uint32_t high1 = __umulhi(philox::kMultiplier1, c2), low1 = philox::kMultiplier1 * c2;
      c0 = high1 ^ c1 ^ k0;
      c1 = low1;
      c2 = high0 ^ c3 ^ k1;
      c3 = low0;
      k0 += philox::kWeyl0;
      k1 += philox::kWeyl1;
    }
    const uint32_t words[4] = {c0, c1, c2, c3};
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const uint32_t bits = n % 2 != 0 ? words[n / 2] >> 16 : words[n / 2] & 0xffffu;
      votes_[n] = __ballot_sync(kAllLanes, bits >= dropout_.threshold);
    }
  }

  const DropoutKernel& dropout_;
  uint32_t row_;
  int section_ = -1;
  uint32_t votes_[8];
};

}  // namespace aid::cuda
