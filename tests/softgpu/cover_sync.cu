// Atomics of every type and width, ordered loads and stores, instructions of a warp, asynchronous copies.
#include <cstdint>

extern "C" {

// Thread i changes p[i % n] with b[i] (and c[i], where it takes two) and gets what was there before.
#define ATOMIC(name, T, in, out, type)                                                                        \
  __global__ void name(T* p, const T* b, T* before, int n) {                                                  \
    const int i = blockIdx.x * blockDim.x + threadIdx.x;                                                      \
    asm volatile("atom.global." type " %0, [%1], %2;" : out(before[i]) : "l"(p + i % n), in(b[i]) : "memory"); \
  }
#define COMPARE_AND_SWAP(name, T, in, out, type)                                             \
  __global__ void name(T* p, const T* b, const T* c, T* before) {                            \
    const int i = blockIdx.x * blockDim.x + threadIdx.x;                                     \
    asm volatile("atom.global.cas." type " %0, [%1], %2, %3;"                                \
                 : out(before[i])                                                            \
                 : "l"(p + i), in(b[i]), in(c[i])                                            \
                 : "memory");                                                                \
  }
#define REDUCTION(name, T, in, type)                                                              \
  __global__ void name(T* p, const T* b, int n) {                                                 \
    const int i = blockIdx.x * blockDim.x + threadIdx.x;                                          \
    asm volatile("red.global." type " [%0], %1;" ::"l"(p + i % n), in(b[i]) : "memory");          \
  }
#define BOTH(name, T, in, out, type)       \
  ATOMIC(atom_##name, T, in, out, type)    \
  REDUCTION(red_##name, T, in, type)

BOTH(add_u32, uint32_t, "r", "=r", "add.u32")
BOTH(inc_u32, uint32_t, "r", "=r", "inc.u32")
BOTH(dec_u32, uint32_t, "r", "=r", "dec.u32")
BOTH(min_u32, uint32_t, "r", "=r", "min.u32")
BOTH(max_u32, uint32_t, "r", "=r", "max.u32")
BOTH(min_s32, int32_t, "r", "=r", "min.s32")
BOTH(max_s32, int32_t, "r", "=r", "max.s32")
BOTH(and_b32, uint32_t, "r", "=r", "and.b32")
BOTH(or_b32, uint32_t, "r", "=r", "or.b32")
BOTH(xor_b32, uint32_t, "r", "=r", "xor.b32")
BOTH(add_u64, uint64_t, "l", "=l", "add.u64")
BOTH(min_u64, uint64_t, "l", "=l", "min.u64")
BOTH(max_u64, uint64_t, "l", "=l", "max.u64")
BOTH(min_s64, int64_t, "l", "=l", "min.s64")
BOTH(max_s64, int64_t, "l", "=l", "max.s64")
BOTH(and_b64, uint64_t, "l", "=l", "and.b64")
BOTH(or_b64, uint64_t, "l", "=l", "or.b64")
BOTH(xor_b64, uint64_t, "l", "=l", "xor.b64")
BOTH(add_f32, float, "f", "=f", "add.f32")
BOTH(add_f64, double, "d", "=d", "add.f64")
BOTH(add_f16, uint16_t, "h", "=h", "add.noftz.f16")
BOTH(add_f16x2, uint32_t, "r", "=r", "add.noftz.f16x2")
BOTH(add_bf16, uint16_t, "h", "=h", "add.noftz.bf16")
BOTH(add_bf16x2, uint32_t, "r", "=r", "add.noftz.bf16x2")
ATOMIC(exch_b32, uint32_t, "r", "=r", "exch.b32")
ATOMIC(exch_b64, uint64_t, "l", "=l", "exch.b64")
COMPARE_AND_SWAP(cas_b16, uint16_t, "h", "=h", "b16")
COMPARE_AND_SWAP(cas_b32, uint32_t, "r", "=r", "b32")
COMPARE_AND_SWAP(cas_b64, uint64_t, "l", "=l", "b64")

// In shared memory, every thread of a block on one address.
__global__ void shared_atomics(uint32_t* counts, uint64_t* largest, float* sums) {
  __shared__ uint32_t count;
  __shared__ uint64_t most;
  __shared__ float sum;
  if (threadIdx.x == 0) count = 0, most = 0, sum = 0;
  __syncthreads();
  const auto at = [](const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); };
  asm volatile("red.shared.add.u32 [%0], 2;" ::"r"(at(&count)) : "memory");
  asm volatile("red.shared.max.u64 [%0], %1;" ::"r"(at(&most)), "l"(uint64_t{threadIdx.x} << 33) : "memory");
  asm volatile("red.shared.add.f32 [%0], 0f3F000000;" ::"r"(at(&sum)) : "memory");
  __syncthreads();
  if (threadIdx.x == 0) counts[blockIdx.x] = count, largest[blockIdx.x] = most, sums[blockIdx.x] = sum;
}

// Block 0 writes data, then a flag; the others read the flag and, where it is set, the data.
#define MESSAGE(name, publish, look)                                                                \
  __global__ void name(uint32_t* data, uint32_t* flag, uint32_t* read) {                            \
    if (threadIdx.x != 0) return;                                                                   \
    uint32_t seen = 0;                                                                              \
    if (blockIdx.x == 0) {                                                                          \
      *data = 42;                                                                                   \
      asm volatile(publish ::"l"(flag) : "memory");                                                 \
    } else {                                                                                        \
      asm volatile(look : "=r"(seen) : "l"(flag) : "memory");                                       \
      read[blockIdx.x] = seen == 1 ? *data : 7;                                                     \
    }                                                                                               \
  }
MESSAGE(message, "st.release.gpu.global.u32 [%0], 1;", "ld.acquire.gpu.global.u32 %0, [%1];")
MESSAGE(message_of_system, "st.release.sys.global.u32 [%0], 1;", "ld.acquire.sys.global.u32 %0, [%1];")
MESSAGE(message_by_fences, "fence.acq_rel.gpu; st.relaxed.gpu.global.u32 [%0], 1;",
        "ld.relaxed.gpu.global.u32 %0, [%1]; fence.acq_rel.gpu;")
MESSAGE(message_by_strong_fences, "fence.sc.gpu; st.volatile.global.u32 [%0], 1;",
        "ld.volatile.global.u32 %0, [%1]; fence.sc.gpu;")
MESSAGE(message_by_atomics, "red.release.gpu.global.add.u32 [%0], 1;", "atom.acquire.gpu.global.add.u32 %0, [%1], 0;")
MESSAGE(message_by_exchange, "{.reg .u32 o; atom.acq_rel.gpu.global.exch.b32 o, [%0], 1;}",
        "atom.acq_rel.gpu.global.or.b32 %0, [%1], 0;")
MESSAGE(message_without_release, "st.relaxed.gpu.global.u32 [%0], 1;", "ld.acquire.gpu.global.u32 %0, [%1];")
MESSAGE(message_released_in_the_block, "st.release.cta.global.u32 [%0], 1;", "ld.acquire.gpu.global.u32 %0, [%1];")
MESSAGE(message_acquired_in_the_block, "st.release.gpu.global.u32 [%0], 1;", "ld.acquire.cta.global.u32 %0, [%1];")
MESSAGE(message_fenced_in_the_block, "fence.acq_rel.cta; st.relaxed.gpu.global.u32 [%0], 1;",
        "ld.acquire.gpu.global.u32 %0, [%1];")
MESSAGE(message_of_the_block_by_atomics, "red.release.cta.global.add.u32 [%0], 1;",
        "atom.acquire.gpu.global.add.u32 %0, [%1], 0;")

// Reductions and matches of a whole warp and of its lanes that `mask` names. 14 results a thread.
__global__ void warp_forms(const uint32_t* x, uint32_t* r, uint32_t mask) {
  if (!(mask >> threadIdx.x & 1)) return;
  const uint32_t v = x[threadIdx.x];
  uint32_t* const o = r + threadIdx.x * 14;
#define REDUCE(at, type) asm volatile("redux.sync." type " %0, %1, %2;" : "=r"(o[at]) : "r"(v), "r"(mask))
  REDUCE(0, "add.u32");
  REDUCE(1, "add.s32");
  REDUCE(2, "min.u32");
  REDUCE(3, "max.u32");
  REDUCE(4, "min.s32");
  REDUCE(5, "max.s32");
  REDUCE(6, "and.b32");
  REDUCE(7, "or.b32");
  REDUCE(8, "xor.b32");
  const uint64_t wide = uint64_t{v & 1} << 40;
  asm volatile("match.any.sync.b32 %0, %1, %2;" : "=r"(o[9]) : "r"(v & 3), "r"(mask));
  asm volatile("match.any.sync.b64 %0, %1, %2;" : "=r"(o[10]) : "l"(wide), "r"(mask));
  asm volatile("{.reg .pred p; match.all.sync.b64 %0|p, %2, %3; selp.b32 %1, 1, 0, p;}"
               : "=r"(o[11]), "=r"(o[12])
               : "l"(wide), "r"(mask));
  asm volatile("{.reg .pred p; elect.sync _|p, %1; selp.b32 %0, 1, 0, p;}" : "=r"(o[13]) : "r"(mask));
}

// cp.async of each size, and of less than that: zeros fill up. The younger group is waited for last.
__global__ void copies(const float* x, float* y, int bytes) {
  __shared__ __align__(16) float s[8];
  s[1] = -1;  // between two copies
  const auto to = [&](int i) { return static_cast<uint32_t>(__cvta_generic_to_shared(s + i)); };
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to(0)), "l"(x) : "memory");
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(to(2)), "l"(x + 2) : "memory");
  asm volatile("cp.async.commit_group;" ::: "memory");
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to(4)), "l"(x + 4), "r"(bytes) : "memory");
  asm volatile("cp.async.commit_group;" ::: "memory");
  asm volatile("cp.async.wait_group 1;" ::: "memory");
  for (int k = 0; k < 4; ++k) y[k] = s[k];
  asm volatile("cp.async.wait_group 0;" ::: "memory");
  for (int k = 4; k < 8; ++k) y[k] = s[k];
}

}  // extern "C"
