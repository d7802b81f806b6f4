// Loads, stores, address conversion, fences and asynchronous copies: PTX ISA, "Data Movement and Conversion", "Parallel
// Synchronization and Communication" instructions. An asynchronous copy happens at the wait, the latest moment that is
// legal.
#include <chrono>

#include "tests/softgpu/block.h"
#include "tests/softgpu/decoding.h"

namespace softgpu {

Space Decoding::space() const {
  for (const std::string& m : source.modifiers) {
    if (m == "global") return Space::global;
    if (m.substr(0, 6) == "shared") return Space::shared;
    if (m == "local") return Space::local;
    if (m.substr(0, 5) == "param") return Space::param;
    if (m == "const") return Space::constant;
  }
  return Space::generic;
}

namespace {

template <class T>
void load(Warp& w, const Instruction& i, u32 mask) {
  const u64* a = w.row(i.a);
  const u32 bytes = u32(sizeof(T)) * i.vector;
  if (w.block->launch.options.counters) count_request(w, i, mask, i.space, a, bytes, false);
  u64* rows[8];
  for (size_t k = 0; k < i.rows.size(); ++k) rows[k] = w.row(i.rows[k]);
  for (u32 rest = mask; rest; rest &= rest - 1) {
    const u32 l = u32(std::countr_zero(rest));
    const u64 address = a[l] + u64(i.offset);
    const std::byte* p = locate(w, i, l, i.space, address, bytes, Access::read);
    if (i.acquire) synchronise_at(w, address, false, true);
    for (u32 k = 0; k < i.vector; ++k) {
      T value;
      std::memcpy(&value, p + k * sizeof(T), sizeof(T));
      rows[k][l] = std::is_signed_v<T> && i.width != 8 ? u64(u32(s32(value))) : u64(s64(value));
    }
  }
}
template <class T>
void store(Warp& w, const Instruction& i, u32 mask) {
  const u64* a = w.row(i.a);
  const u32 bytes = u32(sizeof(T)) * i.vector;
  if (w.block->launch.options.counters) count_request(w, i, mask, i.space, a, bytes, true);
  const u64* rows[8];
  for (size_t k = 0; k < i.rows.size(); ++k) rows[k] = w.row(i.rows[k]);
  if (i.release) fence(w);
  for (u32 rest = mask; rest; rest &= rest - 1) {
    const u32 l = u32(std::countr_zero(rest));
    const u64 address = a[l] + u64(i.offset);
    std::byte* p = locate(w, i, l, i.space, address, bytes, Access::write);
    if (i.atomic) synchronise_at(w, address, true, false);
    for (u32 k = 0; k < i.vector; ++k) {
      const T value = T(rows[k][l]);
      std::memcpy(p + k * sizeof(T), &value, sizeof(T));
    }
  }
}

bool decode_access(const Decoding& p, Instruction& i) {
  const bool loads = !p.is("st");
  const auto& memory = p.operands.at(loads ? 1 : 0);
  const auto& value = p.operands.at(loads ? 0 : 1);
  i.space = p.space();
  if (memory.kind == DecodedOperand::Kind::memory && memory.text == "local")
    i.space = Space::local;  // a function's .param variable
  i.a = memory.row;
  i.offset = memory.offset;
  i.rows = value.kind == DecodedOperand::Kind::vector ? value.rows : std::vector<Row>{value.row};
  const int vector = p.which({"v2", "v4", "v8"});
  i.vector = vector < 0 ? 1 : u8(2 << vector);
  if (i.rows.size() != i.vector) return false;
  i.atomic = p.has("volatile") || p.has("relaxed") || p.has("acquire") || p.has("release") || p.has("mmio");
  // What is ordered for the block alone orders nothing between blocks; within one, barriers do.
  i.acquire = i.atomic && loads && !p.has("cta");
  i.release = p.has("release") && !p.has("cta");
  i.width = value.kind == DecodedOperand::Kind::vector ? 4 : std::max<u8>(value.width, 4);
  const std::string t = p.type();
  const bool is_signed = t[0] == 's';
  switch (ptx::size_of(t)) {
    case 1:
      i.execute = !loads ? store<u8> : is_signed ? load<s8> : load<u8>;
      break;
    case 2:
      i.execute = !loads ? store<u16> : is_signed ? load<s16> : load<u16>;
      break;
    case 4:
      i.execute = !loads ? store<u32> : is_signed && i.width == 8 ? load<s32> : load<u32>;
      break;
    case 8:
      i.execute = loads ? load<u64> : store<u64>;
      break;
    default:
      return false;
  }
  return true;
}

// cvta: mode 0 to generic, 1 from generic.
void convert_address(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64* a = w.row(i.a);
  const Block& block = *w.block;
  each(mask, [&](u32 l) {
    const u64 base = i.space == Space::shared ? reinterpret_cast<u64>(block.shared)
                     : i.space == Space::local
                         ? reinterpret_cast<u64>(block.local) + u64(w.thread(l)) * block.local_bytes
                     : i.space == Space::param ? reinterpret_cast<u64>(block.launch.params.data())
                                               : 0;
    d[l] = i.mode ? a[l] - base : a[l] + base + u64(i.offset);
  });
}
void is_space(Warp& w, const Instruction& i, u32 mask) {
  const u64* a = w.row(i.a);
  const Block& block = *w.block;
  u32 yes = 0;
  each(mask, [&](u32 l) {
    const bool shared = a[l] - reinterpret_cast<u64>(block.shared) < block.shared_size;
    const bool local = a[l] - reinterpret_cast<u64>(block.local) < u64(block.local_bytes) * block.threads;
    yes |= u32(i.space == Space::shared ? shared : i.space == Space::local ? local : !shared && !local) << l;
  });
  w.predicate(i.d) = (w.predicate(i.d) & ~mask) | yes;
}

void nothing(Warp&, const Instruction&, u32) {}
void execute_fence(Warp& w, const Instruction&, u32) { fence(w); }

// cp.async: d + target <- a + offset, `size` bytes; flag: only the first b of them, the rest is zero.
void copy_async(Warp& w, const Instruction& i, u32 mask) {
  Block& block = *w.block;
  const u64 *to = w.row(i.d), *from = w.row(i.a), *count = w.row(i.b);
  if (block.launch.options.counters) {
    u64 shifted[32];
    u32 reads = 0;
    for (u32 rest = mask; rest; rest &= rest - 1) {
      const u32 l = u32(std::countr_zero(rest));
      shifted[l] = to[l] + i.target - u64(i.offset);
      reads |= u32(!i.flag || u32(count[l]) > 0) << l;
    }
    count_request(w, i, mask, Space::shared, shifted, i.size, true);
    count_request(w, i, reads, Space::global, from, i.size, false);
  }
  for (u32 rest = mask; rest; rest &= rest - 1) {
    const u32 l = u32(std::countr_zero(rest));
    const u32 used = i.flag ? u32(count[l]) : i.size;
    if (used > i.size)
      fault(w, i, l, Kind::out_of_bounds,
            "cp.async of " + std::to_string(i.size) + " bytes from a source of " + std::to_string(used));
    u64 target = to[l] + i.target;
    if (i.flag2) target -= reinterpret_cast<u64>(block.shared);
    std::byte* d = locate(w, i, l, Space::shared, target, i.size, Access::write);
    const u64 source = from[l] + u64(i.offset);
    if (source % i.size)
      fault(w, i, l, Kind::misaligned,
            "cp.async of " + std::to_string(i.size) + " bytes from an address that is no multiple of that");
    for (u32 k = 0; k < used; k += 4)
      locate(w, i, l, Space::global, source + k, std::min(4u, used - k) == 4 ? 4 : 1, Access::read);
    if (used % 4) locate(w, i, l, Space::global, source + used - 1, 1, Access::read);
    std::memset(d, 0xFF, i.size);
    if (block.checks) note_copy_started(w, i, l, u32(target), i.size);
    w.copies[l].push_back({w.groups[l], u32(target), reinterpret_cast<const std::byte*>(source), i.size, u8(used)});
  }
  w.with_copies |= mask;
}
void commit_copies(Warp& w, const Instruction&, u32 mask) {
  each(mask, [&](u32 l) { ++w.groups[l]; });
}
void wait_for_copies(Warp& w, const Instruction& i, u32 mask) {  // flag: all, committed or not
  Block& block = *w.block;
  for (u32 rest = mask & w.with_copies; rest; rest &= rest - 1) {
    const u32 l = u32(std::countr_zero(rest));
    const u32 pending = i.flag ? 0 : u32(i.offset);
    std::vector<CopyInFlight>& copies = w.copies[l];
    size_t done = 0;
    for (; done < copies.size() && (i.flag || s64(copies[done].group) < s64(w.groups[l]) - s64(pending)); ++done) {
      const CopyInFlight& c = copies[done];
      std::memcpy(block.shared + c.to, c.from, c.from_bytes);
      std::memset(block.shared + c.to + c.from_bytes, 0, size_t(c.bytes - c.from_bytes));
      if (block.checks) note_copy_done(w, i, l, c.to, c.bytes);
    }
    copies.erase(copies.begin(), copies.begin() + s64(done));
    if (copies.empty()) w.with_copies &= ~(1u << l);
  }
}
bool decode_copy(const Decoding& p, Instruction& i) {
  if (!p.has("async") || p.has("bulk") || p.has("mbarrier")) return false;
  if (p.has("commit_group")) {
    i.execute = commit_copies;
  } else if (p.has("wait_group") || p.has("wait_all")) {
    i.flag = p.has("wait_all");
    i.offset = i.flag ? 0 : s64(p.operands.at(0).value);
    i.execute = wait_for_copies;
  } else {
    if (p.operands.size() < 3 || !p.operands[2].is_number) return false;
    i.d = p.row(0);
    i.target = u32(p.operands[0].offset);
    i.a = p.row(1);
    i.offset = p.operands[1].offset;
    i.size = u8(p.operands[2].value);
    i.flag = p.operands.size() > 3;
    if (i.flag) i.b = p.row(3);
    if (i.flag && p.operands[3].kind == DecodedOperand::Kind::predicate) return false;  // ignore-src
    i.execute = copy_async;
  }
  return true;
}

// clock, clock64, globaltimer: only ever growing.
void read_clock(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 now = u64(std::chrono::steady_clock::now().time_since_epoch().count());
  each(mask, [=, &i](u32 l) { d[l] = i.size == 4 ? u32(now) : now; });
}

}  // namespace

bool decode_memory(const Decoding& p, Instruction& i) {
  if (p.is("ld") || p.is("ldu") || p.is("st")) return !p.has("async") && decode_access(p, i);
  if (p.is("cp")) return decode_copy(p, i);
  if (p.is("cvta")) {
    p.rows_in_order(i);
    i.space = p.space();
    i.mode = p.has("to");
    i.offset = p.operands.at(1).offset;
    i.execute = convert_address;
    return true;
  }
  if (p.is("isspacep")) {
    p.rows_in_order(i);
    i.space = p.space();
    i.execute = is_space;
    return true;
  }
  if (p.is("mov") && p.operands.size() == 2 && p.operands[1].text == "clock") {
    i.d = p.row(0);
    i.size = u8(ptx::size_of(p.type()));
    i.execute = read_clock;
    return true;
  }
  if (p.is("membar") || p.is("fence")) {
    if (p.has("proxy") || p.has("mbarrier_init")) return false;
    const bool wider_than_block = !p.has("cta");
    i.execute = wider_than_block ? execute_fence : nothing;
    return true;
  }
  if (p.is("nanosleep") || p.is("prefetch") || p.is("prefetchu") || p.is("pragma") || p.is("discard") ||
      p.is("applypriority")) {
    i.execute = nothing;
    return true;
  }
  return false;
}

}  // namespace softgpu
