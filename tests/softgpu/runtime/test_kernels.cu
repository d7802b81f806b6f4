#include "tests/softgpu/runtime/test_kernels.h"

namespace test_kernels {
namespace kernels {

__device__ float factor = 1;

__global__ void add(float* x, float value, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] += value;
}

__global__ void copy(float* y, const float* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = x[i];
}

__global__ void scale(float* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] *= factor;
}

__global__ void fill_shared(float* x, int floats) {
  extern __shared__ float s[];
  for (int i = threadIdx.x; i < floats; i += blockDim.x) s[i] = static_cast<float>(i);
  __syncthreads();
  x[threadIdx.x] = s[floats - 1 - threadIdx.x];
}

__global__ void __launch_bounds__(64) narrow(float* x) { x[threadIdx.x] = 1; }

__global__ void past_the_end(float* x, int n) { x[n] = 1; }

__global__ void misaligned(float* x) { *reinterpret_cast<float2*>(x + 1) = float2{1, 2}; }

}  // namespace kernels

const void* const add = reinterpret_cast<const void*>(kernels::add);
const void* const copy = reinterpret_cast<const void*>(kernels::copy);
const void* const scale = reinterpret_cast<const void*>(kernels::scale);
const void* const fill_shared = reinterpret_cast<const void*>(kernels::fill_shared);
const void* const narrow = reinterpret_cast<const void*>(kernels::narrow);
const void* const past_the_end = reinterpret_cast<const void*>(kernels::past_the_end);
const void* const misaligned = reinterpret_cast<const void*>(kernels::misaligned);

void launch_add(float* x, float value, int n, cudaStream_t stream) {
  kernels::add<<<(n + 127) / 128, 128, 0, stream>>>(x, value, n);
}
void launch_narrow(float* x, int threads) { kernels::narrow<<<1, threads>>>(x); }
cudaError_t set_scale(float value) { return cudaMemcpyToSymbol(kernels::factor, &value, sizeof value); }

}  // namespace test_kernels
