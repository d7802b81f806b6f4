// Instructions of a whole warp: shuffles, votes, match, redux, __syncwarp. They run once all lanes of their mask have
// arrived.
#include <algorithm>

#include "tests/softgpu/block.h"
#include "tests/softgpu/decoding.h"

namespace softgpu {
namespace {

void sync_warp(Warp& w, const Instruction&, u32 mask) {
  const u32 now = ++w.block->tick;
  each(mask, [&](u32 l) { w.warp_time[l] = now; });
}
void active_mask(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  each(mask, [=](u32 l) { d[l] = mask; });
}
void elect(Warp& w, const Instruction& i, u32 mask) {
  const u32 first = u32(std::countr_zero(mask));
  u64* d = w.row(i.d);
  each(mask, [=](u32 l) { d[l] = first; });
  w.predicate(i.d2) = (w.predicate(i.d2) & ~mask) | 1u << first;
}
// mode: 0 up, 1 down, 2 bfly, 3 idx
void shuffle(Warp& w, const Instruction& i, u32 mask) {
  u64 in[32], out[32];
  std::memcpy(in, w.row(i.a), sizeof in);
  const u64 *b = w.row(i.b), *c = w.row(i.c);
  u32 inside = 0;
  each(mask, [&](u32 l) {
    const u32 n = u32(b[l]) & 31, segment = u32(c[l]) >> 8 & 31, clamp = u32(c[l]) & 31;
    const u32 low = l & segment, high = low | (clamp & ~segment & 31);
    s32 from = 0;
    bool valid = false;
    switch (i.mode) {
      case 0:
        from = s32(l) - s32(n);
        valid = from >= s32(high);
        break;
      case 1:
        from = s32(l + n);
        valid = from <= s32(high);
        break;
      case 2:
        from = s32(l ^ n);
        valid = from <= s32(high);
        break;
      default:
        from = s32(low | (n & ~segment & 31));
        valid = from <= s32(high);
    }
    if (!valid) from = s32(l);
    inside |= u32(valid) << l;
    if (!(mask >> from & 1))
      add_report(make_report(
          w, i, l, Kind::wrong_mask,
          "takes the value of lane " + std::to_string(from) + ", which does not take part: name it in the mask"));
    out[l] = mask >> from & 1 ? in[from] : 0xffffffffu;
  });
  u64* d = w.row(i.d);
  each(mask, [&](u32 l) { d[l] = out[l]; });
  if (i.d2) w.predicate(i.d2) = (w.predicate(i.d2) & ~mask) | inside;
}
// mode: 0 ballot, 1 any, 2 all, 3 uni; a is a predicate; flag: inverted
void vote(Warp& w, const Instruction& i, u32 mask) {
  const u32 votes = (w.predicates[i.a] ^ (i.flag ? ~0u : 0)) & mask;
  if (i.mode == 0) {
    u64* d = w.row(i.d);
    each(mask, [=](u32 l) { d[l] = votes; });
    return;
  }
  const bool yes = i.mode == 1 ? votes != 0 : i.mode == 2 ? votes == mask : votes == 0 || votes == mask;
  w.predicate(i.d) = (w.predicate(i.d) & ~mask) | (yes ? mask : 0);
}
// mode: 0 any, 1 all
void match(Warp& w, const Instruction& i, u32 mask) {
  const u64* a = w.row(i.a);
  u64 out[32];
  u32 all = 0;
  each(mask, [&](u32 l) {
    u32 same = 0;
    each(mask, [&](u32 k) { same |= u32(a[k] == a[l]) << k; });
    out[l] = i.mode == 0 || same == mask ? same : 0;
    all |= u32(same == mask) << l;
  });
  u64* d = w.row(i.d);
  each(mask, [&](u32 l) { d[l] = out[l]; });
  if (i.d2) w.predicate(i.d2) = (w.predicate(i.d2) & ~mask) | all;
}
// mode: 0 add, 1 min, 2 max, 3 and, 4 or, 5 xor
template <class T>
void reduce(Warp& w, const Instruction& i, u32 mask) {
  const u64* a = w.row(i.a);
  T sum = get<T>(a[std::countr_zero(mask)]);
  for (u32 rest = mask & (mask - 1); rest; rest &= rest - 1) {
    const T x = get<T>(a[std::countr_zero(rest)]);
    sum = i.mode == 0   ? T(u32(sum) + u32(x))
          : i.mode == 1 ? std::min(sum, x)
          : i.mode == 2 ? std::max(sum, x)
          : i.mode == 3 ? sum & x
          : i.mode == 4 ? sum | x
                        : sum ^ x;
  }
  u64* d = w.row(i.d);
  each(mask, [=](u32 l) { d[l] = put(sum); });
}

}  // namespace

bool is_sync_warp(const Instruction& i) { return i.execute == sync_warp; }

bool decode_warp(const Decoding& p, Instruction& i) {
  const std::string& op = p.source.base;
  if (op == "activemask") {
    i.d = p.row(0);
    i.execute = active_mask;
    return true;
  }
  const auto collective = [&](Execute execute, size_t mask_operand) {
    i.flow = Flow::collective;
    i.execute = execute;
    i.e = p.row(mask_operand);
    return true;
  };
  if (op == "bar" && p.has("warp")) return collective(sync_warp, 0);
  if (op != "shfl" && op != "vote" && op != "match" && op != "redux" && op != "elect") return false;
  if (!p.has("sync")) return false;
  i.d = p.row(0);
  i.d2 = p.operands[0].second;
  if (op == "elect") return collective(elect, 1);
  i.a = p.row(1);
  if (op == "shfl") {
    const int mode = p.which({"up", "down", "bfly", "idx"});
    i.mode = u8(mode);
    i.b = p.row(2);
    i.c = p.row(3);
    return collective(shuffle, 4) && mode >= 0;
  }
  if (op == "vote") {
    i.mode = u8(p.which({"ballot", "any", "all", "uni"}));
    i.flag = p.operands[1].inverted;
    return collective(vote, 2);
  }
  if (op == "match") {
    i.mode = p.has("all");
    return collective(match, 2);
  }
  const int mode = p.which({"add", "min", "max", "and", "or", "xor"});
  i.mode = u8(mode);
  return collective(p.type() == "s32" ? reduce<s32> : reduce<u32>, 2) && mode >= 0 && p.type() != "f32";
}

}  // namespace softgpu
