// Sums over a warp or a block, in an order that depends on nothing but the threads' numbers.
#pragma once

#include "kernels/device/launch.cuh"

namespace aid::cuda {

inline constexpr uint32_t kAllLanes = 0xffffffffu;

// In every lane the same bits: addition commutes, and both lanes of a pair add the same two numbers.
template <class Number>
__device__ inline Number warp_sum(Number value) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}
__device__ inline float warp_max(float value) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

// The sum over a block of kThreads, in every thread. `partial` is shared and belongs to this sum alone until the next
// __syncthreads() after it.
template <int kThreads, class Number>
__device__ inline Number block_sum(Number value, Number (&partial)[kThreads / kWarp]) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  value = warp_sum(value);
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  Number total = partial[0];
#pragma unroll
  for (int i = 1; i < kThreads / kWarp; ++i) total += partial[i];
  return total;
}

}  // namespace aid::cuda
