// Ordinary kernels, with the faults that people make in them switched by a template argument.
#include <cuda_bf16.h>

#include <cstdint>

namespace kernels {

__device__ __forceinline__ float warp_sum(float x) {
  for (int o = 16; o; o >>= 1) x += __shfl_xor_sync(0xffffffffu, x, o);
  return x;
}

// One block a row. Fault 1: the partial sums are used again without a barrier; 2: read without a barrier.
template <int Fault>
__device__ float block_sum(float x, float* part) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  x = warp_sum(x);
  if (Fault != 1) __syncthreads();
  if (lane == 0) part[warp] = x;
  if (Fault != 2) __syncthreads();
  float sum = 0;
  for (int w = 0; w < blockDim.x / 32; ++w) sum += part[w];
  return sum;
}
template <int Fault>
__device__ void layer_norm_row(const float* x, const float* gamma, const float* beta, float* y, int cols, float eps) {
  __shared__ float part[32];
  const float* row = x + (size_t)blockIdx.x * cols;
  float sum = 0;
  for (int c = threadIdx.x; c < cols; c += blockDim.x) sum += row[c];
  const float mean = block_sum<Fault>(sum, part) / cols;
  float squares = 0;
  for (int c = threadIdx.x; c < cols; c += blockDim.x) squares += (row[c] - mean) * (row[c] - mean);
  const float rstd = rsqrtf(block_sum<Fault>(squares, part) / cols + eps);
  for (int c = threadIdx.x; c < cols; c += blockDim.x) y[(size_t)blockIdx.x * cols + c] = (row[c] - mean) * rstd * gamma[c] + beta[c];
}
extern "C" __global__ void layer_norm(const float* x, const float* gamma, const float* beta, float* y, int cols, float eps) {
  layer_norm_row<0>(x, gamma, beta, y, cols, eps);
}
extern "C" __global__ void layer_norm_no_barrier_before_reuse(const float* x, const float* gamma, const float* beta, float* y, int cols,
                                                              float eps) {
  layer_norm_row<1>(x, gamma, beta, y, cols, eps);
}
extern "C" __global__ void layer_norm_no_barrier_before_read(const float* x, const float* gamma, const float* beta, float* y, int cols,
                                                             float eps) {
  layer_norm_row<2>(x, gamma, beta, y, cols, eps);
}

__device__ __forceinline__ uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }
__device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x2_trans(uint32_t (&r)[2], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];\n" : "=r"(r[0]), "=r"(r[1]) : "r"(address) : "memory");
}
__device__ __forceinline__ void copy16(uint32_t to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(to), "l"(__cvta_generic_to_global(from)) : "memory");
}
template <int N>
__device__ __forceinline__ void wait_copies() { asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory"); }

// C (M x N, f32) = A (M x K, bf16) * B (K x N, bf16); block: 64 x 64 by 4 warps, K in steps of 32, double buffered.
// Fault 1: waits for one group too few; 2: no barrier before a buffer is filled again; 3: fragment registers swapped; 4: shared arrays
// without __align__.
template <int Fault>
__device__ void gemm_body(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int n, int k, __nv_bfloat16 (*sa)[64][40],
                          __nv_bfloat16 (*sb)[32][72]) {
  const int tid = threadIdx.x, lane = tid % 32, warp = tid / 32, wm = warp % 2, wn = warp / 2;
  const int m0 = blockIdx.y * 64, n0 = blockIdx.x * 64;
  const auto load = [&](int buffer, int k0) {
    for (int e = tid; e < 256; e += 128) {
      copy16(shared_address(&sa[buffer][e / 4][e % 4 * 8]), a + (size_t)(m0 + e / 4) * k + k0 + e % 4 * 8);
      copy16(shared_address(&sb[buffer][e / 8][e % 8 * 8]), b + (size_t)(k0 + e / 8) * n + n0 + e % 8 * 8);
    }
    asm volatile("cp.async.commit_group;\n" ::: "memory");
  };
  float sum[2][4][4] = {};
  load(0, 0);
  const int steps = k / 32;
  for (int s = 0; s < steps; ++s) {
    const int buffer = s % 2;
    if (s + 1 < steps) {
      load(buffer ^ 1, (s + 1) * 32);
      wait_copies<Fault == 1 ? 2 : 1>();
    } else {
      wait_copies<0>();
    }
    __syncthreads();
#pragma unroll
    for (int kk = 0; kk < 32; kk += 16) {
      uint32_t fa[2][4], fb[4][2];
#pragma unroll
      for (int i = 0; i < 2; ++i) ldmatrix_x4(fa[i], shared_address(&sa[buffer][wm * 32 + i * 16 + lane % 16][kk + lane / 16 * 8]));
#pragma unroll
      for (int j = 0; j < 4; ++j) ldmatrix_x2_trans(fb[j], shared_address(&sb[buffer][kk + lane % 16][wn * 32 + j * 8]));
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const uint32_t used[2] = {fb[j][Fault == 3], fb[j][Fault != 3]};
          mma(sum[i][j], fa[i], used);
        }
    }
    if (Fault != 2) __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = m0 + wm * 32 + i * 16 + lane / 4, col = n0 + wn * 32 + j * 8 + lane % 4 * 2;
      *reinterpret_cast<float2*>(&c[(size_t)row * n + col]) = make_float2(sum[i][j][0], sum[i][j][1]);
      *reinterpret_cast<float2*>(&c[(size_t)(row + 8) * n + col]) = make_float2(sum[i][j][2], sum[i][j][3]);
    }
}
#define GEMM(NAME, FAULT, ALIGN)                                                                                              \
  extern "C" __global__ void __launch_bounds__(128) NAME(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int n, int k) { \
    __shared__ ALIGN __nv_bfloat16 sa[2][64][40], sb[2][32][72];                                                              \
    gemm_body<FAULT>(a, b, c, n, k, sa, sb);                                                                                  \
  }
GEMM(gemm, 0, __align__(16))
GEMM(gemm_wait_too_lax, 1, __align__(16))
GEMM(gemm_no_barrier_before_refill, 2, __align__(16))
GEMM(gemm_swapped_fragment, 3, __align__(16))
GEMM(gemm_unaligned_shared, 0, )

}  // namespace kernels
