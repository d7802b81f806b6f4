// The instructions that C++ has no words for: tensor-core products, the loads that feed them, asynchronous copies into
// shared memory. One function is one instruction. Sections are those of the PTX ISA manual, version 9.0. All are in
// sm_80 and in everything since.
//
// In the pictures, lane = 4 g + t: g, 0 to 7, is its group, t, 0 to 3, its place there.
#pragma once

#include <cstdint>

#include "kernels/core/dtype.h"

namespace aid::cuda {

// The address that the instructions below want, in the shared window.
__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// d += a b (9.7.14.5.8, mma.m16n8k16): a is 16 x 16, b 16 x 8, d 16 x 8 in f32; a register of a or b holds two
// neighbouring elements of k, the lower k in its lower half.
//
//        a: k 2t,2t+1   k 2t+8,+9         b: n = g              d: n = 2t   2t+1
//   row g     a[0]        a[2]      k 2t,2t+1    b[0]       row g     d[0]  d[1]
//   row g+8   a[1]        a[3]      k 2t+8,+9    b[1]       row g+8   d[2]  d[3]
template <class T>
__device__ inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);

template <>
__device__ inline void mma_m16n8k16<bf16>(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <>
__device__ inline void mma_m16n8k16<f16>(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four 8 x 8 matrices of 16-bit elements from shared memory (9.7.14.5.15, ldmatrix). A row is 16 bytes, aligned to 16;
// lane l gives the address of row l % 8 of matrix l / 8, and gets of matrix m, in r[m]:
//
//     load_matrices             load_matrices_transposed
//     columns 2t, 2t+1          column g
//     of row g                  of rows 2t (lower half), 2t+1
//
// Matrices stored [row][k] are thus fragments of a by the first, and of b too, whose n is the stored row; matrices
// stored [k][n] are fragments of b by the second.
__device__ inline void load_matrices(uint32_t (&r)[4], uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row_address)
               : "memory");
}
__device__ inline void load_matrices_transposed(uint32_t (&r)[4], uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row_address)
               : "memory");
}

// Starts a copy of the first `bytes` bytes at `from` in global memory; zeros fill up the kSize bytes in shared memory
// (9.7.9.25.3.1, cp.async). Both addresses are aligned to kSize. 16 bytes go past the first-level cache, which would
// keep nothing that shared memory does not have.
template <int kSize>
__device__ inline void copy_async(uint32_t to, const void* from, int bytes) {
  static_assert(kSize == 8 || kSize == 16);
  if constexpr (kSize == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(__cvta_generic_to_global(from)),
                 "r"(bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(__cvta_generic_to_global(from)),
                 "r"(bytes)
                 : "memory");
  }
}

// Ends a group of copies (9.7.9.25.3.2, cp.async.commit_group).
__device__ inline void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most the kPending youngest groups of this thread are under way (9.7.9.25.3.3, cp.async.wait_group).
// Other threads' copies are there after a barrier behind their own waits.
template <int kPending>
__device__ inline void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace aid::cuda
