// What a profiler would call sectors and bank conflicts: known exactly, since every lane's address is.
#include <algorithm>
#include <set>

#include "tests/softgpu/block.h"

namespace softgpu {

LineCounters& LineCounters::operator+=(const LineCounters& o) {
  instructions += o.instructions;
  mma += o.mma;
  global_requests += o.global_requests;
  global_sectors += o.global_sectors;
  global_ideal_sectors += o.global_ideal_sectors;
  shared_requests += o.shared_requests;
  shared_passes += o.shared_passes;
  shared_ideal_passes += o.shared_ideal_passes;
  global_read_bytes += o.global_read_bytes;
  global_written_bytes += o.global_written_bytes;
  return *this;
}

void count_mma(Warp& w, const Instruction& i) { ++w.block->launch.counters[size_t(&i - w.code)].mma; }

// Global memory is moved in sectors of 32 bytes. Shared memory has 32 banks of 4 bytes: a pass serves one word of each
// bank; accesses of 8 and 16 bytes go in 2 and 4 groups of lanes.
void count_request(Warp& w, const Instruction& i, u32 mask, Space space, const u64* addresses, u32 bytes, bool writes) {
  LineCounters& c = w.block->launch.counters[size_t(&i - w.code)];
  const u64 base = reinterpret_cast<u64>(w.block->shared);
  if (space == Space::generic) {
    const u64 first = addresses[std::countr_zero(mask)] + u64(i.offset);
    space = first - base < w.block->shared_size                 ? Space::shared
            : is_device_address(reinterpret_cast<void*>(first)) ? Space::global
                                                                : Space::local;
  }
  if (space == Space::global) {
    std::set<u64> sectors, distinct;
    each(mask, [&](u32 l) {
      const u64 address = addresses[l] + u64(i.offset);
      for (u64 s = address / 32; s <= (address + bytes - 1) / 32; ++s) sectors.insert(s);
      distinct.insert(address);
    });
    ++c.global_requests;
    c.global_sectors += sectors.size();
    c.global_ideal_sectors += (distinct.size() * bytes + 31) / 32;
    (writes ? c.global_written_bytes : c.global_read_bytes) += distinct.size() * bytes;
  } else if (space == Space::shared) {
    ++c.shared_requests;
    const u32 lanes = bytes <= 4 ? 32 : 128 / bytes;
    for (u32 first = 0; first < 32; first += lanes) {
      std::set<u64> words;
      u32 of_bank[32] = {}, most = 0;
      for (u32 l = first; l < first + lanes; ++l)
        if (mask >> l & 1)
          for (u32 k = 0; k < bytes; k += 4) words.insert((addresses[l] + u64(i.offset) + k) / 4);
      for (const u64 word : words) most = std::max(most, ++of_bank[word % 32]);
      c.shared_passes += most;
      c.shared_ideal_passes += most ? 1 : 0;
    }
  }
}

}  // namespace softgpu
