// The instructions that nvcc emits for ordinary code (cover.h), and those that take intrinsics or assembly.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "tests/softgpu/cover.h"

extern "C" {

__global__ void integers(const int* a, const int* b, int64_t* r, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) cover::integers(a[i], b[i], r + size_t(i) * cover::kIntegers);
}
__global__ void floats(const float* a, const float* b, float* r, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) cover::floats(a[i], b[i], r + size_t(i) * cover::kFloats);
}

__device__ __constant__ int kTable[8] = {1, -2, 3, -4, 5, -6, 7, -8};
__device__ int global_counter = 40;

__global__ void bits(const uint32_t* a, const uint32_t* b, uint32_t* r) {  // one warp
  const uint32_t x = a[threadIdx.x], y = b[threadIdx.x];
  uint32_t* o = r + threadIdx.x * 24;
  o[0] = __popc(x);
  o[1] = __clz(x);
  o[2] = __ffs(x);
  o[3] = __brev(x);
  o[4] = __byte_perm(x, y, 0x6420);
  o[5] = __byte_perm(x, y, x & 0x7777);
  o[6] = __funnelshift_l(x, y, x & 31);
  o[7] = __funnelshift_r(x, y, y & 63);
  o[8] = __dp4a(int(x), int(y), 7);
  o[9] = __dp4a(x, y, 7u);
  o[10] = __umulhi(x, y);
  o[11] = uint32_t(__mulhi(int(x), int(y)));
  o[12] = __popcll(uint64_t(x) << 32 | y);
  o[13] = uint32_t(kTable[x & 7]);
  asm("bfe.s32 %0, %1, %2, 7;" : "=r"(o[14]) : "r"(x), "r"(y & 31));
  asm("bfi.b32 %0, %1, %2, %3, 9;" : "=r"(o[15]) : "r"(x), "r"(y), "r"(y & 31));
  asm("lop3.b32 %0, %1, %2, %3, 0xe8;" : "=r"(o[16]) : "r"(x), "r"(y), "r"(x * y));
  asm("fns.b32 %0, %1, 0, 3;" : "=r"(o[17]) : "r"(x));
  asm("bfind.u32 %0, %1;" : "=r"(o[18]) : "r"(x));
  asm("sad.u32 %0, %1, %2, 5;" : "=r"(o[19]) : "r"(x), "r"(y));
  asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, 3;" : "=r"(o[20]) : "r"(int(x) >> 20), "r"(int(y) >> 23));
  asm("{ .reg .pred p, q; setp.eq.u32 q, 1, 1; vote.sync.uni.pred p, q, 0xffffffff; selp.b32 %0, 4, 5, p; }"
      : "=r"(o[21]));
  o[22] = x > y ? 1 : 0;
  o[23] = uint32_t(global_counter);
}

__global__ void halves(const float* a, const float* b, float* r) {
  const float x = a[threadIdx.x], y = b[threadIdx.x];
  float* o = r + threadIdx.x * 12;
  o[0] = __bfloat162float(__float2bfloat16(x));
  o[1] = __half2float(__float2half(y));
  o[2] = __bfloat162float(__float2bfloat16(x) * __float2bfloat16(y));
  o[3] = __half2float(__float2half(x) + __float2half(y));
  const float2 p = __bfloat1622float2(__floats2bfloat162_rn(x, y));
  o[4] = p.x;
  o[5] = p.y;
  const float2 q = __half22float2(__hfma2(__floats2half2_rn(x, y), __floats2half2_rn(y, x), __floats2half2_rn(1, 2)));
  o[6] = q.x;
  o[7] = q.y;
  o[8] = __fadd_rz(x, y);
  o[9] = __fmul_ru(x, y);
  o[10] = __fdiv_rd(x, y);
  o[11] = __saturatef(x);
}

// Votes, partial masks, segments, match, redux, atomics. 20 results a thread.
__global__ void warps(const int* x, int* r, int* counts, float* sum) {
  const int t = threadIdx.x, lane = t & 31, v = x[blockIdx.x * blockDim.x + t];
  int* o = r + size_t(blockIdx.x * blockDim.x + t) * 20;
  const unsigned odd = __ballot_sync(~0u, v & 1);
  o[0] = int(odd);
  if (v & 1)
    o[1] = __popc(odd & ((1u << lane) - 1)) + __shfl_sync(odd, v, __ffs(odd) - 1);
  else
    o[1] = __shfl_sync(~odd, v, __ffs(~odd) - 1);
  __syncwarp();
  o[2] = __shfl_up_sync(~0u, v, 3);
  o[3] = __shfl_down_sync(~0u, v, 5);
  o[4] = __shfl_xor_sync(~0u, v, 7);
  o[5] = __shfl_sync(~0u, v, lane * 3);
  o[6] = __shfl_up_sync(~0u, v, 2, 8);
  o[7] = __shfl_down_sync(~0u, v, 3, 8);
  o[8] = __shfl_sync(~0u, v, 5, 8);
  o[9] = __any_sync(~0u, v == 7);
  o[10] = __all_sync(~0u, v > -1000);
  o[11] = int(__match_any_sync(~0u, v & 3));
  int same = 0;
  o[12] = int(__match_all_sync(~0u, v >> 20, &same));
  o[13] = same;
  o[14] = int(__reduce_add_sync(~0u, unsigned(v)));
  o[15] = __reduce_min_sync(~0u, v);
  o[16] = int(__reduce_xor_sync(~0u, unsigned(v)));
  o[17] = __syncthreads_count(v & 1);
  o[18] = __syncthreads_and(v > -1000);
  o[19] = __syncthreads_or(v == 1 << 30);
  atomicAdd(counts, v & 3);
  atomicMax(counts + 1, v);
  atomicXor(counts + 2, v);
  atomicInc(reinterpret_cast<unsigned*>(counts + 3), 1000u);
  atomicCAS(counts + 4, 0, 5);
  atomicAdd(sum, 1.f);
  atomicAdd(reinterpret_cast<unsigned long long*>(counts + 6), 1ull << 33);
}

// Sums, differences and products of 96 and 128 bits by carries. Words of b follow those of a.
__global__ void carries(const uint32_t* x, uint32_t* r, const uint64_t* wide, uint64_t* q) {
  const uint32_t *a = x + threadIdx.x * 6, *b = a + 3;
  uint32_t* o = r + threadIdx.x * 12;
  asm("add.cc.u32 %0, %3, %6; addc.cc.u32 %1, %4, %7; addc.u32 %2, %5, %8;"
      : "=&r"(o[0]), "=&r"(o[1]), "=&r"(o[2])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(b[0]), "r"(b[1]), "r"(b[2]));
  asm("sub.cc.u32 %0, %3, %6; subc.cc.u32 %1, %4, %7; subc.u32 %2, %5, %8;"
      : "=&r"(o[3]), "=&r"(o[4]), "=&r"(o[5])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(b[0]), "r"(b[1]), "r"(b[2]));
  // a0 b0 + (b2 b1 b0) + a1 b0 2^64: three words
  asm("mad.lo.cc.u32 %0, %3, %5, %6; madc.hi.cc.u32 %1, %3, %5, %7; madc.lo.u32 %2, %4, %5, %8;"
      : "=&r"(o[6]), "=&r"(o[7]), "=&r"(o[8])
      : "r"(a[0]), "r"(a[1]), "r"(b[0]), "r"(b[0]), "r"(b[1]), "r"(b[2]));
  asm("mad.hi.cc.u32 %0, %2, %3, %4; addc.u32 %1, 0, 0;" : "=&r"(o[9]), "=&r"(o[10]) : "r"(a[0]), "r"(b[0]), "r"(a[1]));
  asm("add.cc.s32 %0, %1, %2; addc.s32 %0, 0, 0;" : "=&r"(o[11]) : "r"(a[0]), "r"(b[0]));
  const uint64_t *c = wide + threadIdx.x * 4, *d = c + 2;
  uint64_t* p = q + threadIdx.x * 6;
  asm("add.cc.u64 %0, %2, %4; addc.u64 %1, %3, %5;" : "=&l"(p[0]), "=&l"(p[1]) : "l"(c[0]), "l"(c[1]), "l"(d[0]), "l"(d[1]));
  asm("sub.cc.u64 %0, %2, %4; subc.u64 %1, %3, %5;" : "=&l"(p[2]), "=&l"(p[3]) : "l"(c[0]), "l"(c[1]), "l"(d[0]), "l"(d[1]));
  asm("mad.lo.cc.u64 %0, %2, %3, %4; madc.hi.u64 %1, %2, %3, %5;"
      : "=&l"(p[4]), "=&l"(p[5])
      : "l"(c[0]), "l"(d[0]), "l"(c[1]), "l"(d[1]));
}

}  // extern "C"
