#pragma once
#include <atomic>
#include <mutex>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/softgpu/machine.h"

// A block while it runs, and what the blocks of one launch share.
namespace softgpu {

// What some block is known to have done before: by serial number, up to a time of that block.
using Knowledge = std::unordered_map<u32, u32>;

// Requests for sectors of global memory (Traffic, launch.h), counted while blocks run one after the other.
class SectorCount {
 public:
  void request(u32 warp, u64 sector, bool writes) { ++block_[{sector << 1 | u64(writes), warp}]; }
  void end_block();
  // Of `blocks` like those that were counted: what the later half of them brought anew, for each further one.
  Traffic extrapolated(u64 blocks) const;

 private:
  struct Key {
    u64 sector;  // twice, and one for a write
    u32 warp;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    size_t operator()(const Key& k) const { return size_t((k.sector * 64 + k.warp) * 0x9E3779B97F4A7C15ull); }
  };
  std::unordered_map<Key, u32, Hash> block_;
  std::unordered_map<u64, u32> most_;  // that one warp asked for, over all blocks
  std::vector<Traffic> blocks_;        // what each of them added
};

struct Launch {
  const Kernel& kernel;
  const LaunchOptions& options;
  Dim grid, block;
  u64 dynamic_shared = 0;
  std::vector<std::byte> params;
  u32 first_serial = 0;                         // of its blocks
  std::mutex mutex;                             // of what follows
  std::unordered_map<u64, Knowledge> released;  // by address: what a release there published
  std::string error;
  std::vector<LineCounters> counters;  // by instruction
  SectorCount sectors;
  std::atomic<bool> stopped{false};
  std::atomic<u64> instructions{0};
};

struct Barrier {
  u32 arrived = 0;
  u32 needed = 0;  // threads, if the instruction says; 0: all of the block
};

// One host thread's block; used again for block after block.
struct Block {
  Block(Launch&);
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void run(u64 index);  // throws Fault

  Launch& launch;
  const Kernel& kernel;
  const bool checks;
  u32 threads;
  Dim index;
  u32 serial = 0;
  std::vector<std::byte> shared_storage, local_storage;
  std::byte* shared = nullptr;
  std::byte* local = nullptr;
  u32 shared_size = 0, local_bytes = 0;
  Shadow shadow;  // of shared memory
  std::vector<u8> clean_state;
  std::vector<u8> seen;  // by instruction: what was reported there
  std::vector<SharedVariable> variables;
  std::vector<u64> uniforms, per_warp;
  std::vector<Warp> warps;
  Barrier barriers[16];
  u32 tick = 1;        // the block's clock
  u32 fence_time = 0;  // when a thread of it last executed a fence; 0: never
  Knowledge known;
  std::string printed;

 private:
  void start(u64 index);
  void fill_uniforms();
  void fill_per_warp();
  void run_warp(Warp&);
  void exit_lanes(Warp&, u32 mask);
  void check_mask(Warp&, const Instruction&, u32 lane);
  void wait_at_collective(Warp&, const Instruction&, u32 pc, u32 mask);
  void wait_at_barrier(Warp&, const Instruction&, u32 pc, u32 mask);
  void try_barrier(u32 id);
  [[noreturn]] void report_deadlock();

  std::mt19937_64 random_;
};

// ---- counters ----

void count_mma(Warp&, const Instruction&, u32 depth);
void count_request(Warp&, const Instruction&, u32 mask, Space, const u64* addresses, u32 bytes, bool writes);

// ---- the checker ----

enum class Access : u8 { read, write, atomic };

Report make_report(const Warp&, const Instruction&, u32 lane, Kind, std::string text);
// Reports and ends the launch.
[[noreturn]] void fault(const Warp&, const Instruction&, u32 lane, Kind, std::string text);
std::string describe_shared(const Block&, u64 offset);

// Where an access of `bytes` bytes at `address` lies in host memory: bounds, alignment, and with checks on races and
// initialisation.
std::byte* locate(Warp&, const Instruction&, u32 lane, Space, u64 address, u32 bytes, Access);

void note_shared(Warp&, const Instruction&, u32 lane, u32 offset, u32 bytes, Access);
void note_global(Warp&, const Instruction&, u32 lane, Allocation&, u64 offset, u32 bytes, Access);
void note_copy_started(Warp&, const Instruction&, u32 lane, u32 offset, u32 bytes);
void note_copy_done(Warp&, const Instruction&, u32 lane, u32 offset, u32 bytes);

// A fence of a lane: what the block did so far can be published.
void fence(Warp&);
// A strong access at an address of global memory: publishes what lies before the block's fence and learns what others
// published there.
void synchronise_at(Warp&, u64 address, bool publishes, bool learns);

}  // namespace softgpu
