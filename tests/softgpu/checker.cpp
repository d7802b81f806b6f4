// Bounds, alignment, races and initialisation.
//
// Races: two accesses of one block are ordered if they are the same thread's, or a barrier that this thread passed lies
// between them, or both are of one warp and a __syncwarp lies between. Shuffles order nothing. Between blocks only a
// release and an acquire order:
// __threadfence or .release before a strong access, and a strong access at the same address after it.
#include <algorithm>
#include <sstream>

#include "tests/softgpu/block.h"

namespace softgpu {

Report make_report(const Warp& w, const Instruction& i, u32 lane, Kind kind, std::string text) {
  const Block& block = *w.block;
  const Dim& size = block.launch.block;
  const u32 t = w.thread(lane);
  Report r;
  r.kind = kind;
  r.kernel = block.kernel.attributes.name;
  r.block = block.index;
  r.thread = {t % size.x, t / size.x % size.y, t / (size.x * size.y)};
  const auto file = block.kernel.files.find(i.place.file);
  const bool known = file != block.kernel.files.end();
  r.file = known ? file->second : block.kernel.module + ".ptx";
  r.line = known ? i.place.line : i.place.ptx_line;
  r.text = std::move(text);
  if (i.opcode) r.text += " [" + *i.opcode + "]";
  return r;
}

void fault(const Warp& w, const Instruction& i, u32 lane, Kind kind, std::string text) {
  Report r = make_report(w, i, lane, kind, std::move(text));
  std::string line = r.str();
  add_report(std::move(r));
  throw Fault{kind, std::move(line)};
}

std::string describe_shared(const Block& block, u64 offset) {
  const SharedVariable* nearest = nullptr;
  u64 distance = ~0ull;
  for (const SharedVariable& v : block.variables) {
    const u64 d = offset < v.offset             ? v.offset - offset
                  : offset >= v.offset + v.size ? offset - v.offset - v.size + 1
                                                : 0;
    if (d < distance) {
      distance = d;
      nearest = &v;
    }
  }
  if (!nearest) return "shared byte " + std::to_string(offset) + " (the kernel has no shared memory)";
  return "byte " + std::to_string(s64(offset) - s64(nearest->offset)) + " of shared " + nearest->name + " (" +
         std::to_string(nearest->size) + " bytes)";
}

namespace {

std::string describe(const Allocation& a, s64 offset) {
  return "byte " + std::to_string(offset) + " of allocation #" + std::to_string(a.serial) + " (" + a.what + ", " +
         std::to_string(a.size) + " bytes)";
}
std::string verb(Access access, u32 bytes) {
  return std::string(access == Access::read    ? "reads "
                     : access == Access::write ? "writes "
                                               : "atomically changes ") +
         std::to_string(bytes) + " bytes at ";
}

[[noreturn]] void bad_global(const Warp& w, const Instruction& i, u32 lane, u64 address, u32 bytes, Access access) {
  const auto* p = reinterpret_cast<const std::byte*>(address);
  const Allocation* a = find(p);
  if (!a && is_device_address(p)) {  // after the red zone, or before: look around for the nearest
    for (u64 d = 4096; d <= (64 << 20) && !a; d *= 2) {
      a = is_device_address(p - d) ? find(p - d) : nullptr;
      if (!a) a = is_device_address(p + d) ? find(p + d) : nullptr;
    }
    std::ostringstream out;
    out << verb(access, bytes) << "device address " << p << " where nothing is allocated";
    if (a) out << "; the nearest: " << describe(*a, p - a->base);
    out << ". Indices must stay inside the allocation (a 32-bit index that overflowed lands far away)";
    fault(w, i, lane, Kind::out_of_bounds, out.str());
  }
  if (!a) {
    std::ostringstream out;
    out << verb(access, bytes) << p << ", which is no device memory: "
        << (address < (1 << 20) ? "a null pointer, or an offset from one"
                                : "a host pointer, or an index far out of range")
        << "; pass what cudaMalloc returned";
    fault(w, i, lane, Kind::host_pointer, out.str());
  }
  const s64 offset = p - a->base;
  if (a->freed && offset >= 0 && offset < s64(a->size))
    fault(w, i, lane, Kind::use_after_free,
          verb(access, bytes) + describe(*a, offset) + ", which was freed before this launch ran");
  fault(w, i, lane, Kind::out_of_bounds,
        verb(access, bytes) + describe(*a, offset) + "; valid are 0 to " + std::to_string(s64(a->size) - s64(bytes)));
}

[[noreturn]] void misaligned(const Warp& w, const Instruction& i, u32 lane, u64 address, u32 bytes, Access access) {
  std::ostringstream out;
  out << verb(access, bytes) << "address 0x" << std::hex << address << std::dec << ", which is no multiple of " << bytes
      << "; align the pointer (a shared array: __align__(" << bytes << "))";
  fault(w, i, lane, Kind::misaligned, out.str());
}

// Whether nothing orders an earlier access before what the lane does now.
template <bool Global>
bool unordered(const Warp& w, u32 lane, const Record& r, u32 bytes, bool atomic) {
  const Block& block = *w.block;
  if (r.empty() || !(r.bytes() & bytes) || (atomic && r.atomic())) return false;
  if (r.serial() == block.serial) {
    const u32 thread = w.thread(lane);
    if (r.thread() == thread || r.time() < w.block_time[lane]) return false;
    return r.thread() / 32 != w.index || r.time() >= w.warp_time[lane];
  }
  if (!Global || r.serial() < block.launch.first_serial)
    return false;  // an earlier block's shared memory, an earlier launch
  const auto known = block.known.find(r.serial());
  return known == block.known.end() || r.time() >= known->second;
}

// Each place is reported once; this keeps a wrong kernel from formatting the same text a million times.
enum Seen : u8 { kRaceSeen = 1, kUninitialisedSeen = 2, kInFlightSeen = 4 };
bool first_here(const Warp& w, const Instruction& i, Seen what) {
  u8& seen = w.block->seen[size_t(&i - w.code)];
  const bool first = !(seen & what);
  seen |= what;
  return first;
}

template <class Describe>
void report_race(const Warp& w, const Instruction& i, u32 lane, Access access, const Record& other, bool other_reads,
                 u32 other_at, const Describe& describe_place) {
  if (!first_here(w, i, kRaceSeen)) return;
  const Block& block = *w.block;
  const bool same_block = other.serial() == block.serial;
  std::ostringstream out;
  out << (access == Access::read    ? "read"
          : access == Access::write ? "write"
                                    : "atomic")
      << " of " << describe_place() << " races with the "
      << (other.atomic() ? "atomic"
          : other_reads  ? "read"
                         : "write")
      << " by thread " << other.thread();
  if (!same_block) out << " of block " << other.serial() - block.launch.first_serial;
  if (other_at < block.kernel.code.size()) {
    const Instruction& there = block.kernel.code[other_at];
    const auto file = block.kernel.files.find(there.place.file);
    if (file != block.kernel.files.end())
      out << " at " << file->second << ':' << there.place.line;
    else
      out << " at PTX line " << there.place.ptx_line;
  }
  out << ": "
      << (!same_block ? "blocks need different addresses, atomics, or __threadfence and a flag between them"
          : other.thread() / 32 == w.index ? "put __syncwarp() between them"
                                           : "put __syncthreads() between them");
  add_report(make_report(w, i, lane, Kind::race, out.str()));
}

u32 instruction_index(const Block& block, const Instruction& i) { return u32(&i - block.kernel.code.data()); }

// One granule. Shared cells belong to one host thread: plain stores; global ones need the exchange.
template <bool Global, class Describe>
void touch(Warp& w, const Instruction& i, u32 lane, Cell& c, u32 bytes, Access access, const Describe& describe_place) {
  Block& block = *w.block;
  const bool atomic = access == Access::atomic || i.atomic;
  const u32 me = w.thread(lane);
  const Record mine = Record::make(block.serial, block.tick, me, atomic, bytes);
  const auto store = [](std::atomic<u64>& to, u64 bits) {
    if constexpr (Global)
      return to.exchange(bits);
    else {
      const u64 old = to.load(std::memory_order_relaxed);
      to.store(bits, std::memory_order_relaxed);
      return old;
    }
  };
  const auto order = Global ? std::memory_order_seq_cst : std::memory_order_relaxed;
  if (access == Access::read) {
    const Record first{c.read[0].load(order)}, second{c.read[1].load(order)};
    if (first.bits != mine.bits && second.bits != mine.bits) {
      // Keep readers of different warps or blocks: one of them is unordered with a later write if any reader is.
      const auto replaceable = [&](const Record& r) {
        return r.empty() || r.serial() < block.launch.first_serial ||
               (r.serial() == block.serial && (r.thread() == me || r.time() < w.block_time[lane]) &&
                !(r.bytes() & ~bytes));
      };
      const int slot = replaceable(first)                                                   ? 0
                       : replaceable(second)                                                ? 1
                       : second.serial() == block.serial && second.thread() / 32 == w.index ? 1
                       : first.serial() == block.serial && first.thread() / 32 == w.index   ? 0
                                                                                            : 1;
      c.read_at[slot].store(instruction_index(block, i), std::memory_order_relaxed);
      store(c.read[slot], mine.bits);
    }
    const Record write{c.write.load(order)};
    if (unordered<Global>(w, lane, write, bytes, atomic))
      report_race(w, i, lane, access, write, false, c.write_at.load(std::memory_order_relaxed), describe_place);
    return;
  }
  const u32 there = c.write_at.load(std::memory_order_relaxed);
  const Record write{store(c.write, mine.bits)};
  c.write_at.store(instruction_index(block, i), std::memory_order_relaxed);
  if (unordered<Global>(w, lane, write, bytes, atomic))
    report_race(w, i, lane, access, write, false, there, describe_place);
  for (int k = 0; k < 2; ++k) {
    const Record read{c.read[k].load(order)};
    if (unordered<Global>(w, lane, read, bytes, atomic))
      report_race(w, i, lane, access, read, true, c.read_at[k].load(std::memory_order_relaxed), describe_place);
  }
}

template <bool Global, class Describe>
void note(Warp& w, const Instruction& i, u32 lane, Shadow& shadow, u64 offset, u32 bytes, Access access,
          const Describe& describe_at) {
  uint8_t* state = shadow.state + offset;
  if (access != Access::write) {
    for (u32 k = 0; k < bytes; ++k) {
      const uint8_t now = __atomic_load_n(state + k, __ATOMIC_RELAXED);
      if (now == kWritten) [[likely]]
        continue;
      if ((now & kInFlight) && first_here(w, i, kInFlightSeen))
        add_report(make_report(
            w, i, lane, Kind::in_flight,
            "reads " + describe_at(offset + k) +
                " while a cp.async still writes it: wait for its group (cp.async.wait_group) and then synchronise"));
      else if (now == kUnwritten && first_here(w, i, kUninitialisedSeen))
        add_report(
            make_report(w, i, lane, Kind::uninitialised,
                        "reads " + describe_at(offset + k) + ", which nobody wrote: initialise it or do not read it"));
      break;
    }
  } else if (!Global && (state[0] & kInFlight) && first_here(w, i, kInFlightSeen)) {
    add_report(make_report(w, i, lane, Kind::in_flight,
                           "writes " + describe_at(offset) + " while a cp.async still writes it"));
  }
  if (access != Access::read) {
    // Atomics of several blocks meet here, on different host threads.
    for (u32 k = 0; k < bytes; ++k) __atomic_store_n(state + k, kWritten, __ATOMIC_RELAXED);
  }
  for (u64 g = offset / 4; g <= (offset + bytes - 1) / 4; ++g) {
    const u64 begin = std::max(offset, g * 4), end = std::min(offset + bytes, g * 4 + 4);
    const u32 of_granule = ((1u << (end - begin)) - 1) << (begin - g * 4);
    touch<Global>(w, i, lane, shadow.cells[g], of_granule, access, [&] { return describe_at(begin); });
  }
}

}  // namespace

void note_shared(Warp& w, const Instruction& i, u32 lane, u32 offset, u32 bytes, Access access) {
  Block& block = *w.block;
  const uint8_t* state = block.shadow.state + offset;
  if ((state[0] | state[bytes - 1]) & kOutside)
    fault(w, i, lane, Kind::out_of_bounds,
          verb(access, bytes) + describe_shared(block, state[0] & kOutside ? offset : offset + bytes - 1) +
              ": outside every shared variable");
  note<false>(w, i, lane, block.shadow, offset, bytes, access, [&](u64 at) { return describe_shared(block, at); });
}

void note_global(Warp& w, const Instruction& i, u32 lane, Allocation& a, u64 offset, u32 bytes, Access access) {
  note<true>(w, i, lane, *a.shadow, offset, bytes, access, [&](u64 at) { return describe(a, s64(at)); });
}

void note_copy_started(Warp& w, const Instruction& i, u32 lane, u32 offset, u32 bytes) {
  note_shared(w, i, lane, offset, bytes, Access::write);
  std::memset(w.block->shadow.state + offset, kInFlight, bytes);
}
void note_copy_done(Warp& w, const Instruction& i, u32 lane, u32 offset, u32 bytes) {
  std::memset(w.block->shadow.state + offset, kWritten, bytes);
  note_shared(w, i, lane, offset, bytes, Access::write);
}

std::byte* locate(Warp& w, const Instruction& i, u32 lane, Space space, u64 address, u32 bytes, Access access) {
  Block& block = *w.block;
  if (address & (bytes - 1)) [[unlikely]]
    misaligned(w, i, lane, address, bytes, access);
  if (space == Space::generic) {
    const u64 shared = address - reinterpret_cast<u64>(block.shared),
              local = address - reinterpret_cast<u64>(block.local);
    const u64 param = address - reinterpret_cast<u64>(block.launch.params.data());
    if (shared < block.shared_size) {
      space = Space::shared;
      address = shared;
    } else if (local < u64(block.local_bytes) * block.threads) {
      space = Space::local;
      address = local - u64(w.thread(lane)) * block.local_bytes;
    } else if (param < block.launch.params.size()) {
      space = Space::param;
      address = param;
    } else {
      space = Space::global;
    }
  }
  switch (space) {
    case Space::shared:
      if (address > block.shared_size || bytes > block.shared_size - address) [[unlikely]]
        fault(w, i, lane, Kind::out_of_bounds,
              verb(access, bytes) + describe_shared(block, address) + "; the launch has " +
                  std::to_string(block.shared_size) + " bytes of shared memory");
      if (block.checks) note_shared(w, i, lane, u32(address), bytes, access);
      return block.shared + address;
    case Space::local:
      if (address > block.local_bytes || bytes > block.local_bytes - address) [[unlikely]]
        fault(w, i, lane, Kind::out_of_bounds,
              verb(access, bytes) + "byte " + std::to_string(s64(address)) + " of the thread's local memory of " +
                  std::to_string(block.local_bytes) + " bytes: an index of a local array");
      return block.local + u64(w.thread(lane)) * block.local_bytes + address;
    case Space::param:
      if (address > block.launch.params.size() || bytes > block.launch.params.size() - address) [[unlikely]]
        fault(w, i, lane, Kind::out_of_bounds,
              verb(access, bytes) + "byte " + std::to_string(address) + " of the parameters");
      return block.launch.params.data() + address;
    default:
      break;
  }
  auto* p = reinterpret_cast<std::byte*>(address);
  auto* a = const_cast<Allocation*>(find(p));
  const u64 offset = a ? u64(p - a->base) : 0;
  if (!a || a->freed || offset > a->size || bytes > a->size - offset) [[unlikely]]
    bad_global(w, i, lane, address, bytes, access);
  if (block.checks)
    note_global(w, i, lane, *a, offset, bytes, access);
  else if (access != Access::read)
    std::memset(a->shadow->state + offset, kWritten, bytes);
  return p;
}

void fence(Warp& w) {
  Block& block = *w.block;
  block.fence_time = ++block.tick;
}

void synchronise_at(Warp& w, u64 address, bool publishes, bool learns) {
  Block& block = *w.block;
  if (!block.checks) return;
  publishes = publishes && block.fence_time;
  const std::lock_guard lock(block.launch.mutex);
  const auto found = block.launch.released.find(address);
  if (learns && found != block.launch.released.end())
    for (const auto& [serial, time] : found->second) {
      u32& mine = block.known[serial];
      mine = std::max(mine, time);
    }
  if (!publishes) return;
  Knowledge& there = block.launch.released[address];
  for (const auto& [serial, time] : block.known) {
    u32& theirs = there[serial];
    theirs = std::max(theirs, time);
  }
  there[block.serial] = block.fence_time;
}

}  // namespace softgpu
