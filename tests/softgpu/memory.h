#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// The device's memory. A device address is a host address inside a region that is reserved for it, so a stand-in
// runtime can copy with memcpy. Each allocation starts at a multiple of 256 bytes, as cudaMalloc's do, is filled with
// 0xFF (NaN in every float type) and is followed by a red zone. A freed one stays recognisable until its addresses are
// needed again.
namespace softgpu {

struct Shadow;  // the checker's memory about an allocation's bytes

struct Allocation {
  std::byte* base = nullptr;
  size_t size = 0;
  uint64_t serial = 0;  // 1, 2, ...: the order of allocation
  bool freed = false;
  bool owned_by_module = false;  // a __device__ variable: no leak
  std::string what;              // who asked for it, for messages
  Shadow* shadow = nullptr;
};

// nullptr if the device has less than `bytes` left. bytes == 0 gives a distinct address.
void* allocate(size_t bytes, const char* what);
// false (and a report) if p is not the start of a live allocation.
bool free(void* p);
// The allocation that p points into, at its end or at its red zone; freed ones too. nullptr: no device memory.
const Allocation* find(const void* p);
// p lies in the device's address range, whether allocated or not.
bool is_device_address(const void* p);

// Bytes that a copy or a memset of the host wrote: they are initialised from now on, and no kernel's access races with
// them.
void mark_written(const void* p, size_t n);
// For a copy inside the device: n bytes at `to` are as initialised as those at `from`.
void copy_written(void* to, const void* from, size_t n);
// Forgets that bytes were written: memory that a pool hands out again.
void mark_unwritten(void* p, size_t n);

enum class HostAccess { read, write };
// For the runtime and the libraries: [p, p + n) lies in one live allocation and, if read, was written. Else adds a
// report that begins with `who` and returns false.
bool check_host_access(const void* p, size_t n, HostAccess, const char* who);

// Adds a report for each allocation that still lives; returns their number.
size_t report_leaks();
std::vector<Allocation> live_allocations();

struct MemoryUse {
  size_t live = 0, peak = 0, limit = 0;  // bytes
};
MemoryUse memory_use();
void set_memory_limit(size_t bytes);  // default 16 GiB

}  // namespace softgpu
