#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

// What the checker remembers about memory. Each byte has a state; each 4-byte granule has its last write and two of its
// reads.
//
// An access is one 64-bit word. Blocks get serial numbers over all launches, so one comparison tells an earlier
// launch's access (always ordered) from one of this launch. `time` is a clock of the block that ticks at every
// synchronisation: an access happened before what the current thread does now if its time is less than that of the last
// barrier which this thread passed.
namespace softgpu {

struct Record {
  uint64_t bits = 0;

  static constexpr int kSerialBits = 24, kTimeBits = 24;
  static constexpr uint32_t kMaxSerial = (1u << kSerialBits) - 1, kMaxTime = (1u << kTimeBits) - 1;
  static Record make(uint32_t serial, uint32_t time, uint32_t thread, bool atomic, uint32_t bytes) {
    return {uint64_t(serial) << 40 | uint64_t(time) << 16 | uint64_t(thread) << 6 | uint64_t(atomic) << 5 | 1u << 4 |
            bytes};
  }
  bool empty() const { return bits == 0; }
  uint32_t serial() const { return uint32_t(bits >> 40); }
  uint32_t time() const { return uint32_t(bits >> 16) & kMaxTime; }
  uint32_t thread() const { return uint32_t(bits >> 6) & 1023; }
  bool atomic() const { return bits >> 5 & 1; }
  uint32_t bytes() const { return bits & 15; }  // which of the granule's four
};

// Several host threads touch the cells of global memory. Sequentially consistent exchanges make sure that of two blocks
// that race one sees the other.
struct Cell {
  std::atomic<uint64_t> write{0}, read[2]{};
  std::atomic<uint32_t> write_at{0}, read_at[2]{};  // instructions of the kernel
};

enum ByteState : uint8_t { kUnwritten = 0, kWritten = 1, kInFlight = 2, kOutside = 4 };

struct Shadow {
  uint8_t* state = nullptr;  // one a byte
  Cell* cells = nullptr;     // one for 4 bytes
  size_t bytes = 0;

  void create(size_t size);  // lazily backed: untouched parts cost nothing
  void destroy();
  void clear_cells();
};

struct Allocation;
// allocate() for a module's variables too.
Allocation* allocate_block(size_t bytes, const char* what, bool owned_by_module);
// Before serial numbers start again.
void clear_all_cells();

}  // namespace softgpu
