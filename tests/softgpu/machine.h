#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/softgpu/launch.h"
#include "tests/softgpu/memory.h"
#include "tests/softgpu/ptx.h"
#include "tests/softgpu/shadow.h"

// The machine. A warp's register is a row of 32 64-bit lanes; an instruction runs for all lanes of a mask at once. A
// predicate is a 32-bit mask. Every lane has its own program counter: the lanes that stand at the lowest one run, so
// that they meet again after a branch.
namespace softgpu {

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using s8 = int8_t;
using s16 = int16_t;
using s32 = int32_t;
using s64 = int64_t;
__extension__ typedef __int128 s128;
__extension__ typedef unsigned __int128 u128;

struct Warp;
struct Instruction;
using Execute = void (*)(Warp&, const Instruction&, u32 mask);

enum class Flow : u8 { next, branch, branch_table, call, ret, exit, trap, barrier, collective };
enum class Space : u8 { generic, global, shared, local, param, constant };

// Where an operand's lanes are: the upper two bits choose the bank, the rest is the index of lane 0.
using Row = u32;
enum Bank : u32 {
  kRegisters = 0,
  kUniform = 1u << 30,
  kPerWarp = 2u << 30
};                                      // of a warp; the same for all threads; tid and laneid
inline constexpr u32 kNoPredicate = 0;  // predicate 0 is always true
inline constexpr u32 kFalsePredicate = 1;

struct Instruction {
  Execute execute = nullptr;
  Flow flow = Flow::next;
  bool predicate_inverted = false;
  u32 predicate = kNoPredicate;
  Row d = 0, a = 0, b = 0, c = 0, e = 0;  // rows, or indices of predicates where the instruction takes those
  u32 d2 = 0;
  s64 offset = 0;  // of the memory operand
  u32 target = 0;  // of a branch or a call; offset of cp.async's destination
  Space space = Space::generic;
  u8 vector = 1;  // elements of ld and st
  u8 mode = 0, mode2 = 0, size = 4;
  bool flag = false, flag2 = false;
  u8 width = 4;         // bytes of a source or destination register that is wider than the type
  bool atomic = false;  // .volatile, .relaxed, .acquire, .release: does not race with atomics
  bool acquire = false, release = false;
  std::vector<Row> rows;  // elements of {...}
  std::vector<u32> table;
  ptx::Place place;
  const std::string* opcode = nullptr;
};

struct SharedVariable {
  std::string name;
  u32 offset = 0;
  u64 size = 0;
};

enum class Special : u8 {
  tid_x,
  tid_y,
  tid_z,
  laneid,
  warpid,
  lanemask_eq,
  lanemask_lt,
  lanemask_le,
  lanemask_gt,
  lanemask_ge,  // differ between threads
  ntid_x,
  ntid_y,
  ntid_z,
  ctaid_x,
  ctaid_y,
  ctaid_z,
  nctaid_x,
  nctaid_y,
  nctaid_z,
  nwarpid,
  smid,
  nsmid,
  gridid,
  dynamic_smem_size,
  total_smem_size,
};
inline bool differs_between_threads(Special s) { return s <= Special::lanemask_ge; }

struct Kernel {
  KernelAttributes attributes;
  std::string module;
  std::map<int, std::string> files;
  std::vector<Instruction> code;
  u32 registers = 0, predicates = 2, uniforms = 0, per_warp_rows = 0;  // rows
  std::vector<std::pair<u32, u64>> constants;                          // uniform row, value
  std::vector<std::pair<u32, Special>> specials;                       // row of its bank
  std::vector<u32> dynamic_rows;  // uniform rows that hold the address of dynamic shared memory
  std::vector<SharedVariable> shared;
  u32 shared_end = 0, dynamic_align = 16;  // of the machine's layout, with red zones between variables
  u32 local_bytes = 0;
  std::vector<std::shared_ptr<std::string>> opcodes;
};

// Ends the launch; its report is already made.
struct Fault {
  Kind kind;
  std::string text;
};

struct CopyInFlight {
  u32 group;
  u32 to;  // shared offset
  const std::byte* from;
  u8 bytes, from_bytes;
};

struct Block;

struct Warp {
  Block* block = nullptr;
  u32 index = 0;
  u64* banks[3] = {};
  std::vector<u64> registers;
  std::vector<u32> predicates;
  const Instruction* code = nullptr;

  // Lanes by what they do; `ready` ones can run.
  u32 live = 0, ready = 0, at_barrier = 0, at_collective = 0;
  u32 pc[32] = {};
  u32 wanted[32] = {};  // the mask of the collective instruction that a lane waits at
  u32 barrier_id[32] = {};
  u32 block_time[32] = {}, warp_time[32] = {};  // when the lane passed its last barrier, its last __syncwarp
  std::vector<CopyInFlight> copies[32];
  u32 groups[32] = {};  // cp.async groups committed
  u32 with_copies = 0;  // lanes
  u64 steps = 0;        // instructions so far

  u64* row(Row r) const { return banks[r >> 30] + (r & 0x3fffffff); }
  u32& predicate(u32 index_of) { return predicates[index_of]; }
  u32 thread(u32 lane) const { return index * 32 + lane; }
};

template <class T>
inline T get(u64 bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T>
inline u64 put(T value) {
  u64 bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

// f(lane) for every lane of the mask. Lanes are independent: rows are the same or apart.
template <class F>
inline void each(u32 mask, F&& f) {
  if (mask == ~0u) {
#pragma GCC ivdep
    for (u32 lane = 0; lane < 32; ++lane) f(lane);
  } else {
    for (u32 rest = mask; rest; rest &= rest - 1) f(u32(std::countr_zero(rest)));
  }
}

// Decoders of one subject each: true if they know the instruction and have filled in `execute`.
struct Decoding;
bool decode_integer(const Decoding&, Instruction&);
bool decode_float(const Decoding&, Instruction&);
bool decode_compare(const Decoding&, Instruction&);
bool decode_convert(const Decoding&, Instruction&);
bool decode_memory(const Decoding&, Instruction&);
bool decode_atomic(const Decoding&, Instruction&);
bool decode_warp(const Decoding&, Instruction&);
bool decode_tensor(const Decoding&, Instruction&);

}  // namespace softgpu
