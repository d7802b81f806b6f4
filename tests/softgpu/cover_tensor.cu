// Every form of mma.sync that the machine knows, ldmatrix, stmatrix and movmatrix. Registers come from memory and go
// there as they are, lane by lane: what they hold is the test's to say.
#include <cstdint>

extern "C" {

// D = A B + C; the numbers are those of registers. A thread's lie behind each other.
#define MMA_442(name, opcode)                                                                              \
  __global__ void name(const uint32_t* a, const uint32_t* b, const uint32_t* c, uint32_t* d) {             \
    const int l = threadIdx.x;                                                                             \
    a += 4 * l, b += 2 * l, c += 4 * l, d += 4 * l;                                                        \
    asm volatile("mma.sync.aligned." opcode " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"   \
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])                                          \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(c[0]), "r"(c[1]), \
                   "r"(c[2]), "r"(c[3]));                                                                  \
  }
#define MMA_421(name, opcode)                                                                             \
  __global__ void name(const uint32_t* a, const uint32_t* b, const uint32_t* c, uint32_t* d) {            \
    const int l = threadIdx.x;                                                                            \
    a += 2 * l, b += l, c += 4 * l, d += 4 * l;                                                           \
    asm volatile("mma.sync.aligned." opcode " {%0,%1,%2,%3}, {%4,%5}, {%6}, {%7,%8,%9,%10};"              \
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])                                         \
                 : "r"(a[0]), "r"(a[1]), "r"(b[0]), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));          \
  }
#define MMA_HALF_SUMS_242(name, opcode)                                                                        \
  __global__ void name(const uint32_t* a, const uint32_t* b, const uint32_t* c, uint32_t* d) {                 \
    const int l = threadIdx.x;                                                                                 \
    a += 4 * l, b += 2 * l, c += 2 * l, d += 2 * l;                                                            \
    asm volatile("mma.sync.aligned." opcode " {%0,%1}, {%2,%3,%4,%5}, {%6,%7}, {%8,%9};"                       \
                 : "=r"(d[0]), "=r"(d[1])                                                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(c[0]), "r"(c[1]));    \
  }
#define MMA_HALF_SUMS_221(name, opcode)                                                        \
  __global__ void name(const uint32_t* a, const uint32_t* b, const uint32_t* c, uint32_t* d) { \
    const int l = threadIdx.x;                                                                 \
    a += 2 * l, b += l, c += 2 * l, d += 2 * l;                                                \
    asm volatile("mma.sync.aligned." opcode " {%0,%1}, {%2,%3}, {%4}, {%5,%6};"                \
                 : "=r"(d[0]), "=r"(d[1])                                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(b[0]), "r"(c[0]), "r"(c[1]));                     \
  }
MMA_442(mma_bf16_k16, "m16n8k16.row.col.f32.bf16.bf16.f32")
MMA_421(mma_bf16_k8, "m16n8k8.row.col.f32.bf16.bf16.f32")
MMA_442(mma_f16_k16, "m16n8k16.row.col.f32.f16.f16.f32")
MMA_421(mma_f16_k8, "m16n8k8.row.col.f32.f16.f16.f32")
MMA_HALF_SUMS_242(mma_f16_f16_k16, "m16n8k16.row.col.f16.f16.f16.f16")
MMA_HALF_SUMS_221(mma_f16_f16_k8, "m16n8k8.row.col.f16.f16.f16.f16")
MMA_442(mma_tf32_k8, "m16n8k8.row.col.f32.tf32.tf32.f32")
MMA_421(mma_tf32_k4, "m16n8k4.row.col.f32.tf32.tf32.f32")
MMA_442(mma_s8_k32, "m16n8k32.row.col.s32.s8.s8.s32")
MMA_442(mma_s8u8_k32, "m16n8k32.row.col.s32.s8.u8.s32")
MMA_442(mma_u8s8_k32_sat, "m16n8k32.row.col.satfinite.s32.u8.s8.s32")
MMA_421(mma_u8_k16, "m16n8k16.row.col.s32.u8.u8.s32")
MMA_421(mma_s8_k16_sat, "m16n8k16.row.col.satfinite.s32.s8.s8.s32")

// x: 32 rows of eight. Lane l names row `at[l]` to ldmatrix and gets its registers in y, `count` a lane.
#define LOAD_MATRICES(name, opcode, outputs, address, count, ...)                                  \
  __global__ void name(const uint16_t* x, const int* at, uint32_t* y) {                            \
    __shared__ __align__(16) uint16_t s[32][8];                                                    \
    for (int k = 0; k < 8; ++k) s[threadIdx.x][k] = x[threadIdx.x * 8 + k];                        \
    __syncwarp();                                                                                  \
    const uint32_t from = static_cast<uint32_t>(__cvta_generic_to_shared(s[at[threadIdx.x]]));     \
    uint32_t r[count];                                                                             \
    asm volatile("ldmatrix.sync.aligned.m8n8." opcode ".shared.b16 " outputs ", [" address "];"    \
                 : __VA_ARGS__                                                                     \
                 : "r"(from)                                                                       \
                 : "memory");                                                                      \
    for (int m = 0; m < count; ++m) y[threadIdx.x * count + m] = r[m];                             \
  }
LOAD_MATRICES(load_x1, "x1", "{%0}", "%1", 1, "=r"(r[0]))
LOAD_MATRICES(load_x1_trans, "x1.trans", "{%0}", "%1", 1, "=r"(r[0]))
LOAD_MATRICES(load_x2, "x2", "{%0,%1}", "%2", 2, "=r"(r[0]), "=r"(r[1]))
LOAD_MATRICES(load_x2_trans, "x2.trans", "{%0,%1}", "%2", 2, "=r"(r[0]), "=r"(r[1]))
LOAD_MATRICES(load_x4, "x4", "{%0,%1,%2,%3}", "%4", 4, "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]))
LOAD_MATRICES(load_x4_trans, "x4.trans", "{%0,%1,%2,%3}", "%4", 4, "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]))

// The other way: registers x, `count` a lane; all 32 rows go to y, full of 0xffff where nothing was stored.
#define STORE_MATRICES(name, opcode, inputs, count, ...)                                              \
  __global__ void name(const uint32_t* x, const int* at, uint16_t* y) {                                        \
    __shared__ __align__(16) uint16_t s[32][8];                                                                \
    for (int k = 0; k < 8; ++k) s[threadIdx.x][k] = 0xffff;                                                    \
    __syncwarp();                                                                                              \
    const uint32_t to = static_cast<uint32_t>(__cvta_generic_to_shared(s[at[threadIdx.x]]));                   \
    const uint32_t* const r = x + threadIdx.x * count;                                                         \
    asm volatile("stmatrix.sync.aligned.m8n8." opcode ".shared.b16 [%0], " inputs ";" ::"r"(to), __VA_ARGS__   \
                 : "memory");                                                                                  \
    __syncwarp();                                                                                              \
    for (int k = 0; k < 8; ++k) y[threadIdx.x * 8 + k] = s[threadIdx.x][k];                                    \
  }
STORE_MATRICES(store_x1, "x1", "{%1}", 1, "r"(r[0]))
STORE_MATRICES(store_x1_trans, "x1.trans", "{%1}", 1, "r"(r[0]))
STORE_MATRICES(store_x2, "x2", "{%1,%2}", 2, "r"(r[0]), "r"(r[1]))
STORE_MATRICES(store_x2_trans, "x2.trans", "{%1,%2}", 2, "r"(r[0]), "r"(r[1]))
STORE_MATRICES(store_x4, "x4", "{%1,%2,%3,%4}", 4, "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]))
STORE_MATRICES(store_x4_trans, "x4.trans", "{%1,%2,%3,%4}", 4, "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]))

__global__ void move_matrix(const uint32_t* x, uint32_t* y) {
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y[threadIdx.x]) : "r"(x[threadIdx.x]));
}

// Faults: rows off their 16 bytes, past the end, and rows that another lane reads with no barrier between.
__device__ void store_row(const void* row) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%1,%1,%1};" ::"r"(
                   static_cast<uint32_t>(__cvta_generic_to_shared(row))),
               "r"(threadIdx.x)
               : "memory");
}
__global__ void stored_off_its_border(uint16_t* y) {
  __shared__ __align__(16) uint16_t s[33][8];
  store_row(&s[threadIdx.x][4]);
  __syncwarp();
  y[threadIdx.x] = s[threadIdx.x][4];
}
__global__ void stored_past_the_end(uint16_t* y) {
  __shared__ __align__(16) uint16_t s[32][8];
  store_row(s[threadIdx.x + 1]);
  __syncwarp();
  y[threadIdx.x] = s[threadIdx.x][0];
}
__global__ void stored_and_not_waited_for(uint16_t* y) {
  __shared__ __align__(16) uint16_t s[32][8];
  store_row(s[threadIdx.x]);
  y[threadIdx.x] = s[threadIdx.x ^ 1][0];
}
__global__ void loaded_before_written(uint32_t* y) {
  __shared__ __align__(16) uint16_t s[32][8];
  if (threadIdx.x < 31)
    for (int k = 0; k < 8; ++k) s[threadIdx.x][k] = k;
  __syncwarp();
  uint32_t r[4];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(s[threadIdx.x])))
               : "memory");
  y[threadIdx.x] = r[0] + r[1] + r[2] + r[3];
}

}  // extern "C"
