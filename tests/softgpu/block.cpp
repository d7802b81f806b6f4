#include "tests/softgpu/block.h"

#include <algorithm>
#include <sstream>

namespace softgpu {

bool is_sync_warp(const Instruction&);

namespace {

constexpr u32 kLanes = 32;
constexpr u32 kNever = ~0u;
constexpr u64 kQuantum = 1 << 16;       // instructions of diverged lanes before others of the warp get their turn
constexpr u64 kWarpBudget = 1 << 20;    // instructions of a warp before another one gets its turn
constexpr u64 kEndless = u64(1) << 27;  // instructions of a warp after which the kernel counts as hanging
constexpr u32 kDynamicGap = 32;

}  // namespace

Block::Block(Launch& l)
    : launch(l), kernel(l.kernel), checks(l.options.checks), threads(u32(l.block.count())), random_(l.options.seed) {
  const u32 align = kernel.dynamic_align;
  u32 dynamic_at = (kernel.shared_end + kDynamicGap + align - 1) / align * align;
  variables = kernel.shared;
  if (launch.dynamic_shared) variables.push_back({"extern __shared__", dynamic_at, launch.dynamic_shared});
  shared_size = launch.dynamic_shared ? dynamic_at + u32(launch.dynamic_shared) : kernel.shared_end;
  shared_storage.resize(shared_size + 2048);
  shared = shared_storage.data() + (1024 - reinterpret_cast<u64>(shared_storage.data()) % 1024);
  local_bytes = (kernel.local_bytes + 15) / 16 * 16;
  local_storage.resize(size_t(local_bytes) * threads + 32);
  local = local_storage.data() + (16 - reinterpret_cast<u64>(local_storage.data()) % 16);
  shadow.create(shared_size + 16);
  clean_state.assign(shared_size, kOutside);
  for (const SharedVariable& v : variables) std::fill_n(clean_state.begin() + v.offset, v.size, u8(kUnwritten));

  seen.resize(kernel.code.size());
  uniforms.resize(size_t(kernel.uniforms) * kLanes);
  for (const auto& [row, value] : kernel.constants) std::fill_n(uniforms.begin() + row * kLanes, kLanes, value);
  for (const u32 row : kernel.dynamic_rows) std::fill_n(uniforms.begin() + row * kLanes, kLanes, dynamic_at);
  warps.resize((threads + kLanes - 1) / kLanes);
  per_warp.resize(size_t(kernel.per_warp_rows) * kLanes * warps.size());
  fill_per_warp();
  for (u32 n = 0; n < warps.size(); ++n) {
    Warp& w = warps[n];
    w.block = this;
    w.index = n;
    w.code = kernel.code.data();
    w.registers.resize(size_t(kernel.registers) * kLanes);
    w.predicates.resize(kernel.predicates);
    w.banks[0] = w.registers.data();
    w.banks[1] = uniforms.data();
    w.banks[2] = per_warp.data() + size_t(n) * kernel.per_warp_rows * kLanes;
  }
}

Block::~Block() { shadow.destroy(); }

void Block::fill_per_warp() {
  const Dim& b = launch.block;
  for (u32 t = 0; t < warps.size() * kLanes; ++t) {
    const u32 lane = t % kLanes;
    for (const auto& [row, special] : kernel.specials) {
      if (!differs_between_threads(special)) continue;
      u64 v = 0;
      switch (special) {
        case Special::tid_x:
          v = t % b.x;
          break;
        case Special::tid_y:
          v = t / b.x % b.y;
          break;
        case Special::tid_z:
          v = t / (b.x * b.y);
          break;
        case Special::laneid:
          v = lane;
          break;
        case Special::warpid:
          v = t / kLanes;
          break;
        case Special::lanemask_eq:
          v = 1u << lane;
          break;
        case Special::lanemask_lt:
          v = (1u << lane) - 1;
          break;
        case Special::lanemask_le:
          v = (2u << lane) - 1;
          break;
        case Special::lanemask_gt:
          v = ~((2u << lane) - 1);
          break;
        default:
          v = ~((1u << lane) - 1);
          break;
      }
      per_warp[(size_t(t / kLanes) * kernel.per_warp_rows + row) * kLanes + lane] = u32(v);
    }
  }
}

void Block::fill_uniforms() {
  const Dim &g = launch.grid, &b = launch.block;
  for (const auto& [row, special] : kernel.specials) {
    if (differs_between_threads(special)) continue;
    u64 v = 0;
    switch (special) {
      case Special::ntid_x:
        v = b.x;
        break;
      case Special::ntid_y:
        v = b.y;
        break;
      case Special::ntid_z:
        v = b.z;
        break;
      case Special::ctaid_x:
        v = index.x;
        break;
      case Special::ctaid_y:
        v = index.y;
        break;
      case Special::ctaid_z:
        v = index.z;
        break;
      case Special::nctaid_x:
        v = g.x;
        break;
      case Special::nctaid_y:
        v = g.y;
        break;
      case Special::nctaid_z:
        v = g.z;
        break;
      case Special::nwarpid:
        v = warps.size();
        break;
      case Special::nsmid:
        v = 1;
        break;
      case Special::dynamic_smem_size:
        v = launch.dynamic_shared;
        break;
      case Special::total_smem_size:
        v = shared_size;
        break;
      default:
        break;
    }
    std::fill_n(uniforms.begin() + row * kLanes, kLanes, v);
  }
}

void Block::start(u64 number) {
  const Dim& g = launch.grid;
  index = {u32(number % g.x), u32(number / g.x % g.y), u32(number / (u64(g.x) * g.y))};
  serial = launch.first_serial + u32(number);
  fill_uniforms();
  std::memset(shared, 0xFF, shared_size);  // NaN
  std::copy(clean_state.begin(), clean_state.end(), shadow.state);
  std::fill(local_storage.begin(), local_storage.end(), std::byte(0xFF));
  std::fill(std::begin(barriers), std::end(barriers), Barrier{});
  tick = 1;
  fence_time = 0;
  known.clear();
  random_.seed(launch.options.seed * 0x9E3779B97F4A7C15ull + number);
  for (Warp& w : warps) {
    const u32 lanes = std::min(kLanes, threads - w.index * kLanes);
    w.live = w.ready = lanes == kLanes ? ~0u : (1u << lanes) - 1;
    w.at_barrier = w.at_collective = w.with_copies = 0;
    std::fill(w.registers.begin(), w.registers.end(), 0);
    std::fill(w.predicates.begin(), w.predicates.end(), 0);
    w.predicates[kNoPredicate] = ~0u;
    for (u32 l = 0; l < kLanes; ++l) {
      w.pc[l] = w.groups[l] = w.block_time[l] = w.warp_time[l] = 0;
      w.copies[l].clear();
    }
    w.steps = 0;
  }
}

// The order of warps: any is legal.
void Block::run(u64 number) {
  start(number);
  const u32 n = u32(warps.size());
  u32 at = launch.options.order == Order::forward || launch.options.order == Order::random ? n - 1 : 0;
  for (;;) {
    u32 next = kNever;
    switch (launch.options.order) {
      case Order::forward:
        for (u32 k = 1; k <= n && next == kNever; ++k)
          if (warps[(at + k) % n].ready) next = (at + k) % n;
        break;
      case Order::reverse:
        for (u32 k = 1; k <= n && next == kNever; ++k)
          if (warps[(at + n - k) % n].ready) next = (at + n - k) % n;
        break;
      case Order::greedy:
        for (u32 k = 0; k < n && next == kNever; ++k)
          if (warps[(at + n - k) % n].ready) next = (at + n - k) % n;
        break;
      case Order::random: {
        const u32 first = u32(random_() % n);
        for (u32 k = 0; k < n && next == kNever; ++k)
          if (warps[(first + k) % n].ready) next = (first + k) % n;
        break;
      }
    }
    if (next == kNever) {
      if (std::any_of(warps.begin(), warps.end(), [](const Warp& w) { return w.live; })) report_deadlock();
      return;
    }
    at = next;
    run_warp(warps[next]);
  }
}

void Block::run_warp(Warp& w) {
  const bool random = launch.options.order == Order::random, counting = launch.options.counters;
  u64 instructions = 0, budget = random ? 64 + random_() % 4096 : kWarpBudget;
  u32 passed_over = kNever;  // a group that has had its turn
  while (w.ready && budget) {
    u32 pc = kNever, limit = kNever;
    for (u32 rest = w.ready; rest; rest &= rest - 1) {
      const u32 at = w.pc[std::countr_zero(rest)];
      if (passed_over != kNever && at <= passed_over) continue;
      if (at < pc) {
        limit = pc;
        pc = at;
      } else if (at > pc && at < limit) {
        limit = at;
      }
    }
    if (pc == kNever) {
      passed_over = kNever;
      continue;
    }
    u32 mask = 0;
    for (u32 rest = w.ready; rest; rest &= rest - 1) {
      const u32 l = u32(std::countr_zero(rest));
      mask |= u32(w.pc[l] == pc) << l;
    }
    u64 quantum = std::min(budget, limit == kNever ? budget : kQuantum);
    if (passed_over != kNever) limit = kNever;
    passed_over = kNever;
    if (random && random_() % 2) {  // some lanes go ahead
      const u32 some = mask & u32(random_());
      if (some) {
        mask = some;
        quantum = std::min<u64>(quantum, 1 + random_() % 64);
      }
    }
    const u64 lanes = u64(std::popcount(mask)), given = quantum;
    bool together = true;
    while (together) {
      if (pc >= limit || quantum == 0) {
        if (quantum == 0 && limit != kNever) passed_over = pc;
        break;
      }
      const Instruction& i = w.code[pc];
      --quantum;
      if (counting) ++launch.counters[pc].instructions;
      const u32 m =
          i.predicate == kNoPredicate ? mask : mask & (w.predicates[i.predicate] ^ (i.predicate_inverted ? ~0u : 0));
      if (i.flow == Flow::next) [[likely]] {
        if (m) i.execute(w, i, m);
        ++pc;
        continue;
      }
      if (m == 0) {
        ++pc;
        continue;
      }
      const auto diverge = [&] {  // those not in m go on, the others are where the instruction put them
        each(mask & ~m, [&](u32 l) { w.pc[l] = pc + 1; });
        together = false;
      };
      switch (i.flow) {
        case Flow::branch:
          if (m == mask) {
            pc = i.target;
          } else {
            each(m, [&](u32 l) { w.pc[l] = i.target; });
            diverge();
          }
          break;
        case Flow::branch_table: {
          const u64* a = w.row(i.a);
          each(m, [&](u32 l) {
            if (u32(a[l]) >= i.table.size()) fault(w, i, l, Kind::launch, "index of a jump table out of range");
            w.pc[l] = i.table[u32(a[l])];
          });
          diverge();
          break;
        }
        case Flow::call: {
          u64* d = w.row(i.d);
          each(m, [&](u32 l) {
            d[l] = pc + 1;
            w.pc[l] = i.target;
          });
          if (m == mask)
            pc = i.target;
          else
            diverge();
          break;
        }
        case Flow::ret: {
          const u64* d = w.row(i.d);
          each(m, [&](u32 l) { w.pc[l] = u32(d[l]); });
          diverge();
          break;
        }
        case Flow::exit:
          exit_lanes(w, m);
          diverge();
          break;
        case Flow::trap:
          fault(w, i, u32(std::countr_zero(m)), Kind::launch, "trap");
        case Flow::barrier:
          wait_at_barrier(w, i, pc, m);
          diverge();
          break;
        default: {
          const u64* wanted = w.row(i.e);
          const u32 first = u32(wanted[std::countr_zero(m)]);
          bool whole = first == m;
          if (whole)
            for (u32 rest = m; rest; rest &= rest - 1) whole = whole && u32(wanted[std::countr_zero(rest)]) == m;
          if (whole) {
            i.execute(w, i, m);
            if (m == mask) {
              ++pc;
            } else {
              each(m, [&](u32 l) { w.pc[l] = pc + 1; });
              diverge();
            }
          } else {
            wait_at_collective(w, i, pc, m);
            diverge();
          }
        }
      }
    }
    if (together) each(mask, [&](u32 l) { w.pc[l] = pc; });
    const u64 steps = given - quantum;
    instructions += steps * lanes;
    budget -= steps;
    w.steps += steps;
    if (w.steps > kEndless)
      fault(w, w.code[pc], u32(std::countr_zero(mask)), Kind::deadlock,
            "the warp has run " + std::to_string(w.steps) +
                " instructions: it waits for something that never comes (blocks do not run at the same time), or its "
                "loop has no end");
  }
  launch.instructions.fetch_add(instructions, std::memory_order_relaxed);
}

void Block::exit_lanes(Warp& w, u32 mask) {
  w.live &= ~mask;
  w.ready &= ~mask;
  for (u32 rest = w.at_collective; rest; rest &= rest - 1) {
    const u32 l = u32(std::countr_zero(rest));
    check_mask(w, w.code[w.pc[l]], l);
  }
  for (u32 id = 0; id < 16; ++id)
    if (barriers[id].arrived) try_barrier(id);
}

void Block::check_mask(Warp& w, const Instruction& i, u32 lane) {
  const u32 wanted = w.wanted[lane];
  std::ostringstream out;
  out << "the mask 0x" << std::hex << wanted;
  if (!(wanted >> lane & 1))
    fault(w, i, lane, Kind::wrong_mask, out.str() + " lacks the calling lane: name every lane that gets here");
  if (const u32 gone = wanted & ~w.live; gone) {
    out << " names lanes 0x" << gone << ", which have ended or do not exist: compute the mask before any return";
    fault(w, i, lane, Kind::wrong_mask, out.str());
  }
}

void Block::wait_at_collective(Warp& w, const Instruction& i, u32 pc, u32 mask) {
  const u64* wanted = w.row(i.e);
  each(mask, [&](u32 l) {
    w.wanted[l] = u32(wanted[l]);
    w.pc[l] = pc;
  });
  w.at_collective |= mask;
  w.ready &= ~mask;
  for (u32 rest = mask; rest; rest &= rest - 1) check_mask(w, i, u32(std::countr_zero(rest)));
  for (u32 rest = mask; rest; rest &= rest - 1) {
    const u32 l = u32(std::countr_zero(rest)), group = w.wanted[l];
    if (!(w.at_collective >> l & 1)) continue;
    bool all = (w.at_collective & group) == group;
    for (u32 others = group; others && all; others &= others - 1) {
      const u32 k = u32(std::countr_zero(others));
      // Lanes may meet at different __syncwarp()s; any other instruction must be the same one.
      all = w.wanted[k] == group && (w.pc[k] == w.pc[l] || (is_sync_warp(i) && is_sync_warp(w.code[w.pc[k]])));
    }
    if (!all) continue;
    w.at_collective &= ~group;
    w.ready |= group;
    each(group, [&](u32 k) { ++w.pc[k]; });
    i.execute(w, i, group);
  }
}

void Block::wait_at_barrier(Warp& w, const Instruction& i, u32 pc, u32 mask) {
  const u64* ids = w.row(i.a);
  const u32 id = u32(ids[std::countr_zero(mask)]);
  if (id > 15)
    fault(w, i, u32(std::countr_zero(mask)), Kind::launch, "barrier " + std::to_string(id) + ": there are 0 to 15");
  barriers[id].arrived += u32(std::popcount(mask));
  if (i.flag2) barriers[id].needed = u32(w.row(i.b)[std::countr_zero(mask)]);
  each(mask, [&](u32 l) {
    w.pc[l] = pc + (i.flag ? 1 : 0);
    w.barrier_id[l] = id;
  });
  if (!i.flag) {
    w.at_barrier |= mask;
    w.ready &= ~mask;
  }
  try_barrier(id);
}

void Block::try_barrier(u32 id) {
  Barrier& barrier = barriers[id];
  u32 needed = barrier.needed;
  if (!needed)
    for (const Warp& w : warps) needed += u32(std::popcount(w.live));
  if (barrier.arrived < needed) return;
  const bool whole_block = !barrier.needed;
  u32 votes = 0, voters = 0, place = kNever;
  const auto waiting = [&](const auto& f) {
    for (Warp& w : warps)
      for (u32 rest = w.at_barrier; rest; rest &= rest - 1) {
        const u32 l = u32(std::countr_zero(rest));
        if (w.barrier_id[l] == id) f(w, l, w.code[w.pc[l]]);
      }
  };
  bool reported = false;
  waiting([&](Warp& w, u32 l, const Instruction& i) {
    if (i.mode) {
      ++voters;
      votes += (w.predicates[i.c] >> l & 1) != i.mode2;
    }
    if (place == kNever) place = w.pc[l];
    const u32 lanes = std::min(kLanes, threads - w.index * kLanes);
    const u32 all = lanes == kLanes ? ~0u : (1u << lanes) - 1;
    if (reported || !whole_block) return;
    if (w.pc[l] != place) {
      const Instruction& other = w.code[place];
      add_report(make_report(w, i, l, Kind::divergent_barrier,
                             "waits here while another thread waits at line " +
                                 std::to_string(other.place.line ? other.place.line : other.place.ptx_line) +
                                 ": every thread of the block must reach the same __syncthreads()"));
      reported = true;
    } else if (w.live != all) {
      add_report(make_report(
          w, i, l, Kind::divergent_barrier,
          "waits at a barrier after some threads of its warp ended: return after the last __syncthreads()"));
      reported = true;
    }
  });
  const u32 now = ++tick;
  waiting([&](Warp& w, u32 l, const Instruction& i) {
    if (i.mode == 1)
      w.row(i.d)[l] = votes;
    else if (i.mode)
      w.predicate(i.d) = (w.predicate(i.d) & ~(1u << l)) | u32(i.mode == 2 ? votes == voters : votes > 0) << l;
    ++w.pc[l];
    w.block_time[l] = w.warp_time[l] = now;
    w.at_barrier &= ~(1u << l);
    w.ready |= 1u << l;
  });
  barrier = {};
}

void Block::report_deadlock() {
  std::string who;
  const Warp* first = nullptr;
  u32 lane = 0, listed = 0;
  for (const Warp& w : warps)
    for (u32 rest = w.live; rest && listed < 4;) {
      const u32 l = u32(std::countr_zero(rest)), pc = w.pc[l];
      u32 same = 0;
      for (u32 others = rest; others; others &= others - 1) {
        const u32 k = u32(std::countr_zero(others));
        same |= u32(w.pc[k] == pc) << k;
      }
      rest &= ~same;
      if (!first) {
        first = &w;
        lane = l;
      }
      const Instruction& i = w.code[pc];
      who += (listed++ ? "; " : "") + std::to_string(std::popcount(same)) + " threads of warp " +
             std::to_string(w.index) + " wait at " + (i.opcode ? *i.opcode : "the end") + ", line " +
             std::to_string(i.place.line ? i.place.line : i.place.ptx_line);
    }
  fault(*first, first->code[first->pc[lane]], lane, Kind::deadlock, "nobody can go on: " + who);
}

}  // namespace softgpu
