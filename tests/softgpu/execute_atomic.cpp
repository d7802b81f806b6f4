// atom and red: PTX ISA, "Parallel Synchronization and Communication Instructions". Atomic between host threads too.
#include <algorithm>

#include "tests/softgpu/block.h"
#include "tests/softgpu/decoding.h"
#include "tests/softgpu/numbers.h"

namespace softgpu {
namespace {

enum Operation : u8 { kAdd, kExchange, kMin, kMax, kAnd, kOr, kXor, kCas, kIncrement, kDecrement };

template <class T>
T combine(u8 operation, T old, T b, T c) {
  switch (operation) {
    case kAdd:
      return T(old + b);
    case kExchange:
      return b;
    case kMin:
      return std::min(old, b);
    case kMax:
      return std::max(old, b);
    case kCas:
      return old == b ? c : old;
    case kIncrement:
      return old >= b ? T(0) : T(old + 1);
    case kDecrement:
      return old == T(0) || b < old ? b : T(old - 1);
    default:
      break;
  }
  if constexpr (std::is_integral_v<T>) return operation == kAnd ? old & b : operation == kOr ? old | b : old ^ b;
  return old;
}
// Packed halves, and one of them: add, min and max.
template <class H, int N>
u32 combine_narrow(u8 operation, u32 old, u32 b) {
  u32 out = 0;
  for (int k = 0; k < N; ++k) {
    const double x = to_float(H{u16(old >> 16 * k)}), y = to_float(H{u16(b >> 16 * k)});
    out |= u32(round_to<H>(operation == kAdd   ? x + y
                           : operation == kMin ? min_num(x, y)
                                               : max_num(x, y))
                   .bits)
           << 16 * k;
  }
  return out;
}

// U: the unsigned type that is exchanged; apply(old, b, c) on its bits.
template <class U, class Apply>
void change(Warp& w, const Instruction& i, u32 mask, Apply apply) {
  const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
  u64* d = i.flag ? nullptr : w.row(i.d);
  if (i.release) fence(w);
  for (u32 rest = mask; rest; rest &= rest - 1) {
    const u32 l = u32(std::countr_zero(rest));
    const u64 address = a[l] + u64(i.offset);
    auto* p = reinterpret_cast<U*>(locate(w, i, l, i.space, address, sizeof(U), Access::atomic));
    if (i.space != Space::shared) synchronise_at(w, address, true, true);
    U old = __atomic_load_n(p, __ATOMIC_SEQ_CST);
    while (!__atomic_compare_exchange_n(p, &old, apply(old, U(b[l]), U(c[l])), false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
    }
    if (d) d[l] = old;
  }
}
template <class T>
struct Atomic {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    using U = std::conditional_t<sizeof(T) == 2, u16, std::conditional_t<sizeof(T) == 4, u32, u64>>;
    change<U>(w, i, mask,
              [&](U old, U b, U c) { return U(put(combine<T>(i.mode, get<T>(old), get<T>(b), get<T>(c)))); });
  }
};
template <class H, int N>
void atomic_narrow(Warp& w, const Instruction& i, u32 mask) {
  using U = std::conditional_t<N == 1, u16, u32>;
  change<U>(w, i, mask, [&](U old, U b, U) { return U(combine_narrow<H, N>(i.mode, old, b)); });
}

}  // namespace

bool decode_atomic(const Decoding& p, Instruction& i) {
  const bool red = p.is("red");
  if (!red && !p.is("atom")) return false;
  if (p.has("async") || p.has("v2") || p.has("v4") || p.has("b128")) return false;
  const size_t memory = red ? 0 : 1;
  const int operation = p.which({"add", "exch", "min", "max", "and", "or", "xor", "cas", "inc", "dec"});
  if (operation < 0) return false;
  i.mode = u8(operation);
  i.flag = red || p.operands.at(0).text == "_";
  if (!red) i.d = p.row(0);
  i.a = p.row(memory);
  i.offset = p.operands[memory].offset;
  i.space = p.space();
  i.b = p.row(memory + 1);
  if (p.operands.size() > memory + 2) i.c = p.row(memory + 2);
  i.release = (p.has("release") || p.has("acq_rel")) && !p.has("cta");
  const std::string t = p.type();
  i.execute = t == "f32"      ? Atomic<float>::run
              : t == "f64"    ? Atomic<double>::run
              : t == "f16"    ? atomic_narrow<Half, 1>
              : t == "f16x2"  ? atomic_narrow<Half, 2>
              : t == "bf16"   ? atomic_narrow<BFloat16, 1>
              : t == "bf16x2" ? atomic_narrow<BFloat16, 2>
                              : pick_integer<Atomic>(t);
  return i.execute;
}

}  // namespace softgpu
