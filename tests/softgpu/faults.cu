// One small kernel for each fault that the checker must find, and correct ones beside them that it must pass.
#include <cassert>
#include <cstdint>
#include <cstdio>

extern "C" {

__global__ void missing_syncwarp(float* y) {
  __shared__ float s[32];
  s[threadIdx.x] = threadIdx.x;
  y[threadIdx.x] = s[31 - threadIdx.x];
}
__global__ void with_syncwarp(float* y) {
  __shared__ float s[32];
  s[threadIdx.x] = threadIdx.x;
  __syncwarp();
  y[threadIdx.x] = s[31 - threadIdx.x];
}
__global__ void shared_past_the_end(float* y, int n) {
  __shared__ float s[64];
  for (int i = threadIdx.x; i <= n; i += blockDim.x) s[i] = i;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void copy(const float* x, float* y, int n) {  // n is not looked at: past the end where the block is larger
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i] = x[i];
  (void)n;
}
__global__ void copy_checked(const float* x, float* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = x[i];
}
__global__ void negative_index(const float* x, float* y) { y[threadIdx.x] = x[int(threadIdx.x) - 1]; }
__global__ void overflowing_index(const float* x, float* y, int rows, int cols) {
  const int last = (rows - 1) * cols;  // 32 bits are too few
  y[threadIdx.x] = x[last + int(threadIdx.x)];
}
__global__ void vector_load(const float* x, float* y) {
  const float4 v = *reinterpret_cast<const float4*>(x);
  y[threadIdx.x] = v.x + v.y + v.z + v.w;
}
__global__ void uninitialised_shared(float* y) {
  __shared__ float s[64];
  if (threadIdx.x < 32) s[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void two_blocks_one_address(float* y) {
  if (threadIdx.x == 0) y[0] = blockIdx.x;
}
__global__ void block_reads_anothers(float* y, float* z) {  // no fence, no flag
  if (threadIdx.x == 0) y[blockIdx.x] = 1;
  if (threadIdx.x == 1) z[blockIdx.x] = blockIdx.x ? y[blockIdx.x - 1] : 0;
}
// The classic reduction: the last block adds up what the others left.
__device__ float last_block(float* part, unsigned* counter, bool fence) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    part[blockIdx.x] = blockIdx.x + 1;
    if (fence) __threadfence();
    last = atomicAdd(counter, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  float sum = 0;
  if (last && threadIdx.x == 0)
    for (int b = 0; b < gridDim.x; ++b) sum += part[b];
  return sum;
}
__global__ void last_block_with_fence(float* part, unsigned* counter, float* y) {
  const float sum = last_block(part, counter, true);
  if (sum > 0) y[0] = sum;
}
__global__ void last_block_without_fence(float* part, unsigned* counter, float* y) {
  const float sum = last_block(part, counter, false);
  if (sum > 0) y[0] = sum;
}
__global__ void divergent_barrier(float* y) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    y[threadIdx.x] = 1;
    __syncthreads();
  }
}
__global__ void return_before_barrier(float* y) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  y[threadIdx.x] = 1;
}
__global__ void deadlock(float* y) {
  if (threadIdx.x == 0)
    y[0] = __shfl_sync(0xffffffffu, 1.f, 0);
  else
    __syncthreads();
}
__global__ void lane_ended(float* y) {
  if (threadIdx.x == 5) return;
  y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, float(threadIdx.x), 1);
}
__global__ void mask_lacks_caller(float* y) { y[threadIdx.x] = __shfl_sync(0x0000ffffu, float(threadIdx.x), 0); }
__global__ void shuffle_from_outside(float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0x0000ffffu, float(threadIdx.x), 20);
}
__global__ void failed_assert(float* y, int n) {
  assert(int(threadIdx.x) < n);
  y[threadIdx.x] = 1;
}
__global__ void trap(float* y) {
  if (threadIdx.x == 3) __trap();
  y[threadIdx.x] = 1;
}
__global__ void local_past_the_end(float* y, int n) {
  float a[8];
  for (int i = 0; i < n; ++i) a[i] = i * y[0];
  y[threadIdx.x] = a[int(y[1])];
}
__global__ void atomic_and_plain(int* y, int* z) {
  if (threadIdx.x == 0) atomicAdd(y, 1);
  if (threadIdx.x == 32) z[0] = *y;
}
__global__ void read_in_flight(const float* x, float* y) {
  __shared__ __align__(16) float s[128];
  const uint32_t to = static_cast<uint32_t>(__cvta_generic_to_shared(s + threadIdx.x * 4));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 16;\n" ::"r"(to), "l"(x + threadIdx.x * 4) : "memory");
  y[threadIdx.x] = s[threadIdx.x * 4];
  asm volatile("cp.async.wait_all;\n" ::: "memory");
}
__global__ void wait_without_barrier(const float* x, float* y) {  // others' copies need a barrier too
  __shared__ __align__(16) float s[256];
  const uint32_t to = static_cast<uint32_t>(__cvta_generic_to_shared(s + threadIdx.x * 4));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 16;\n" ::"r"(to), "l"(x + threadIdx.x * 4) : "memory");
  asm volatile("cp.async.wait_all;\n" ::: "memory");
  y[threadIdx.x] = s[(threadIdx.x ^ 32) * 4];
}
__global__ void dynamic_shared(float* y, int n) {
  extern __shared__ float s[];
  s[threadIdx.x + n] = threadIdx.x;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x + n];
}
__global__ void named_barrier(float* y) {  // warps 0, 1 produce, 2, 3 consume
  __shared__ float s[64];
  if (threadIdx.x < 64) {
    s[threadIdx.x] = threadIdx.x;
    asm volatile("bar.arrive 1, 128;" ::: "memory");
  } else {
    asm volatile("bar.sync 1, 128;" ::: "memory");
    y[threadIdx.x - 64] = s[threadIdx.x - 64];
  }
}
__global__ void print(int n) {
  if (threadIdx.x < 2) printf("thread %d of %d: %.2f %s\n", threadIdx.x, n, 0.5 * threadIdx.x, "text");
}
__device__ __noinline__ float twice(float x, int n) {
  for (int i = 0; i < n; ++i) x = x * 2 + n;
  return x;
}
__global__ void calls(float* y) {
  y[threadIdx.x] = twice(threadIdx.x, threadIdx.x % 5) + (threadIdx.x & 1 ? twice(1, 2) : 0);
}

}  // extern "C"
