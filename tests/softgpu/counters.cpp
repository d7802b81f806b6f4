// What a profiler would call sectors and bank conflicts: known exactly, since every lane's address is.
#include <algorithm>
#include <cmath>

#include "tests/softgpu/block.h"

namespace softgpu {
namespace {

// f(member) for every counter of a line.
template <class F>
void each_counter(F&& f) {
  using C = LineCounters;
  for (uint64_t C::*const member : {&C::instructions, &C::mma, &C::mma_flops, &C::global_requests, &C::global_sectors,
                                    &C::global_ideal_sectors, &C::shared_requests, &C::shared_passes,
                                    &C::shared_ideal_passes, &C::global_read_bytes, &C::global_written_bytes}) {
    f(member);
  }
}

// Sorts values[0 .. n) and drops what is there twice; returns how many are left.
u32 distinct(u64* values, u32 n) {
  std::sort(values, values + n);
  return u32(std::unique(values, values + n) - values);
}

}  // namespace

LineCounters& LineCounters::operator+=(const LineCounters& o) {
  each_counter([&](auto member) { this->*member += o.*member; });
  for (size_t p = 0; p < kPipes; ++p) by_pipe[p] += o.by_pipe[p];
  return *this;
}

LineCounters LineCounters::scaled(double by) const {
  const auto scale = [by](uint64_t n) { return uint64_t(std::llround(double(n) * by)); };
  LineCounters result;
  each_counter([&](auto member) { result.*member = scale(this->*member); });
  for (size_t p = 0; p < kPipes; ++p) result.by_pipe[p] = scale(by_pipe[p]);
  return result;
}

LineCounters LaunchResult::total() const {
  LineCounters sum;
  for (const auto& [line, counters] : lines) sum += counters;
  return sum;
}

void SectorCount::end_block() {
  Traffic& added = blocks_.emplace_back();
  for (const auto& [key, requests] : block_) {
    u32& most = most_[key.sector];
    if (requests <= most) continue;
    (key.sector & 1 ? added.written : added.read) += u64(requests - most) * 32;
    most = requests;
  }
  block_.clear();
}

Traffic SectorCount::extrapolated(u64 blocks) const {
  const size_t half = blocks_.size() / 2;
  Traffic all, later;
  for (size_t n = 0; n < blocks_.size(); ++n) {
    all.read += blocks_[n].read, all.written += blocks_[n].written;
    if (n >= half) later.read += blocks_[n].read, later.written += blocks_[n].written;
  }
  const double further = double(blocks - blocks_.size()) / double(blocks_.size() - half);
  return {all.read + u64(double(later.read) * further), all.written + u64(double(later.written) * further)};
}

void count_mma(Warp& w, const Instruction& i, u32 depth) {
  LineCounters& c = w.block->launch.counters[size_t(&i - w.code)];
  ++c.mma;
  c.mma_flops += u64(2) * 16 * 8 * depth;
}

// Global memory is moved in sectors of 32 bytes. Shared memory has 32 banks of 4 bytes: a pass serves one word of each
// bank; accesses of 8 and 16 bytes go in 2 and 4 groups of lanes.
void count_request(Warp& w, const Instruction& i, u32 mask, Space space, const u64* addresses, u32 bytes, bool writes) {
  if (mask == 0) return;
  LineCounters& c = w.block->launch.counters[size_t(&i - w.code)];
  const u64 base = reinterpret_cast<u64>(w.block->shared);
  if (space == Space::generic) {
    const u64 first = addresses[std::countr_zero(mask)] + u64(i.offset);
    space = first - base < w.block->shared_size                 ? Space::shared
            : is_device_address(reinterpret_cast<void*>(first)) ? Space::global
                                                                : Space::local;
  }
  if (space == Space::global) {
    u64 sectors[64], starts[32];  // an access of at most 32 bytes lies in two sectors
    u32 of_sectors = 0, of_starts = 0;
    for (u32 rest = mask; rest; rest &= rest - 1) {
      const u64 address = addresses[std::countr_zero(rest)] + u64(i.offset);
      for (u64 s = address / 32; s <= (address + bytes - 1) / 32; ++s) sectors[of_sectors++] = s;
      starts[of_starts++] = address;
    }
    of_sectors = distinct(sectors, of_sectors);
    of_starts = distinct(starts, of_starts);
    for (u32 n = 0; n < of_sectors; ++n) w.block->launch.sectors.request(w.index, sectors[n], writes);
    ++c.global_requests;
    c.global_sectors += of_sectors;
    c.global_ideal_sectors += (of_starts * bytes + 31) / 32;
    (writes ? c.global_written_bytes : c.global_read_bytes) += u64(of_starts) * bytes;
  } else if (space == Space::shared) {
    ++c.shared_requests;
    const u32 lanes = bytes <= 4 ? 32 : 128 / bytes;
    for (u32 first = 0; first < 32; first += lanes) {
      u64 words[32];
      u32 count = 0, of_bank[32] = {}, most = 0;
      for (u32 l = first; l < first + lanes; ++l)
        if (mask >> l & 1)
          for (u32 k = 0; k < bytes; k += 4) words[count++] = (addresses[l] + u64(i.offset) + k) / 4;
      count = distinct(words, count);
      for (u32 n = 0; n < count; ++n) most = std::max(most, ++of_bank[words[n] % 32]);
      c.shared_passes += most;
      c.shared_ideal_passes += most ? 1 : 0;
    }
  }
}

}  // namespace softgpu
