// Integer arithmetic and bits: PTX ISA, "Integer Arithmetic", "Extended-Precision", "Logic and Shift" instructions.
#include <algorithm>
#include <type_traits>

#include "tests/softgpu/decoding.h"

namespace softgpu {
namespace {

template <class T>
using Unsigned = std::make_unsigned_t<T>;

template <class T>
struct Add {
  static T of(T a, T b) { return T(Unsigned<T>(a) + Unsigned<T>(b)); }
};
template <class T>
struct Sub {
  static T of(T a, T b) { return T(Unsigned<T>(a) - Unsigned<T>(b)); }
};
template <class T>
struct MulLow {
  static T of(T a, T b) { return T(u64(a) * u64(b)); }
};
template <class T>
struct Div {
  static T of(T a, T b) {
    return b == 0 ? T(-1) : std::is_signed_v<T> && b == T(-1) ? T(0 - Unsigned<T>(a)) : T(a / b);
  }
};
template <class T>
struct Rem {
  static T of(T a, T b) { return b == 0 ? a : std::is_signed_v<T> && b == T(-1) ? T(0) : T(a % b); }
};
template <class T>
struct Min {
  static T of(T a, T b) { return std::min(a, b); }
};
template <class T>
struct Max {
  static T of(T a, T b) { return std::max(a, b); }
};
template <class T>
struct And {
  static T of(T a, T b) { return a & b; }
};
template <class T>
struct Or {
  static T of(T a, T b) { return a | b; }
};
template <class T>
struct Xor {
  static T of(T a, T b) { return a ^ b; }
};
template <class T>
struct CNot {
  static T of(T a) { return a == 0; }
};
template <class T>
struct Not {
  static T of(T a) { return T(~a); }
};
template <class T>
struct Neg {
  static T of(T a) { return T(0 - Unsigned<T>(a)); }
};
template <class T>
struct Abs {
  static T of(T a) { return std::is_signed_v<T> && a < 0 ? T(0 - Unsigned<T>(a)) : a; }
};
template <class T>
struct Popc {
  static u32 of(T a) { return u32(std::popcount(Unsigned<T>(a))); }
};
template <class T>
struct Clz {
  static u32 of(T a) { return u32(std::countl_zero(Unsigned<T>(a))); }
};
template <class T>
struct Brev {
  static T of(T a) {
    Unsigned<T> r = 0;
    for (u32 i = 0; i < 8 * sizeof(T); ++i) r = Unsigned<T>(r << 1 | (Unsigned<T>(a) >> i & 1));
    return T(r);
  }
};
template <class T, class W>
T high(T a, T b) {
  return T(W(W(a) * W(b)) >> 8 * sizeof(T));
}
template <class T>
struct MulHigh {
  static T of(T a, T b) {
    if constexpr (sizeof(T) == 8)
      return high<T, std::conditional_t<std::is_signed_v<T>, s128, u128>>(a, b);
    else
      return high<T, std::conditional_t<std::is_signed_v<T>, s64, u64>>(a, b);
  }
};

template <class T, template <class> class Op>
struct Unary {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    u64* d = w.row(i.d);
    const u64* a = w.row(i.a);
    each(mask, [=](u32 l) { d[l] = put(Op<T>::of(get<T>(a[l]))); });
  }
};
template <class T, template <class> class Op>
struct Binary {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    u64* d = w.row(i.d);
    const u64 *a = w.row(i.a), *b = w.row(i.b);
    each(mask, [=](u32 l) { d[l] = put(Op<T>::of(get<T>(a[l]), get<T>(b[l]))); });
  }
};
template <template <class> class Op>
struct Of {
  template <class T>
  using One = Unary<T, Op>;
  template <class T>
  using Two = Binary<T, Op>;
};

// vadd2-like packed forms are not emitted; add.s16x2 and min/max.{u,s}16x2 are (sm_90).
template <class T, template <class> class Op>
void packed16(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b);
  each(mask, [=](u32 l) {
    const u16 low = u16(Op<T>::of(T(a[l]), T(b[l]))), high_half = u16(Op<T>::of(T(a[l] >> 16), T(b[l] >> 16)));
    d[l] = u32(high_half) << 16 | low;
  });
}

template <class T>
struct MadLow {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    u64* d = w.row(i.d);
    const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
    each(mask, [=](u32 l) { d[l] = put(T(u64(get<T>(a[l])) * u64(get<T>(b[l])) + u64(get<T>(c[l])))); });
  }
};
template <class T>
struct MadHigh {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    u64* d = w.row(i.d);
    const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
    each(mask, [=](u32 l) { d[l] = put(Add<T>::of(MulHigh<T>::of(get<T>(a[l]), get<T>(b[l])), get<T>(c[l]))); });
  }
};
// mul.wide and mad.wide (flag): the product and the sum have twice the bits.
template <class T>
struct Wide {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    using W = std::conditional_t<sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, s32, u32>,
                                 std::conditional_t<std::is_signed_v<T>, s64, u64>>;
    u64* d = w.row(i.d);
    const u64 *a = w.row(i.a), *b = w.row(i.b);
    if (i.flag) {
      const u64* c = w.row(i.c);
      each(mask, [=](u32 l) { d[l] = put(W(u64(W(get<T>(a[l])) * W(get<T>(b[l]))) + u64(get<W>(c[l])))); });
    } else {
      each(mask, [=](u32 l) { d[l] = put(W(u64(W(get<T>(a[l]))) * u64(W(get<T>(b[l]))))); });
    }
  }
};
template <class T>
struct Mul24 {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    u64* d = w.row(i.d);
    const u64 *a = w.row(i.a), *b = w.row(i.b), *c = i.flag ? w.row(i.c) : nullptr;
    const auto narrow = [](u64 v) { return std::is_signed_v<T> ? s64(s32(u32(v) << 8) >> 8) : s64(v & 0xffffff); };
    each(mask, [=](u32 l) { d[l] = u32(narrow(a[l]) * narrow(b[l])) + (c ? u32(c[l]) : 0); });
  }
};

// The carry is a register of its own: row e of the instruction that writes it and of the one that reads it.
// mode: 0 add, 1 sub, 2 mad.lo, 3 mad.hi; flag: with carry in; flag2: writes the carry.
template <class T>
struct Carry {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    using W = u128;
    using U = Unsigned<T>;
    u64* d = w.row(i.d);
    u64* carry = w.row(i.e);
    const u64 *a = w.row(i.a), *b = w.row(i.b), *c = i.mode >= 2 ? w.row(i.c) : nullptr;
    each(mask, [=, &i](u32 l) {
      const U x = get<U>(a[l]), y = get<U>(b[l]);
      W sum = 0;
      if (i.mode == 0) {
        sum = W(x) + y + (i.flag ? carry[l] : 0);
      } else if (i.mode == 1) {
        sum = W(x) - y - (i.flag ? carry[l] : 0);
      } else {
        const U product = i.mode == 2 ? U(u64(x) * u64(y)) : U(MulHigh<T>::of(T(x), T(y)));
        sum = W(product) + get<U>(c[l]) + (i.flag ? carry[l] : 0);
      }
      d[l] = put(U(sum));
      if (i.flag2) carry[l] = u64(sum >> 8 * sizeof(T)) & 1;
    });
  }
};

template <class T>
struct Sad {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    u64* d = w.row(i.d);
    const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
    each(mask, [=](u32 l) {
      const T x = get<T>(a[l]), y = get<T>(b[l]);
      d[l] = put(
          T(Unsigned<T>(get<T>(c[l])) + (x < y ? Unsigned<T>(y) - Unsigned<T>(x) : Unsigned<T>(x) - Unsigned<T>(y))));
    });
  }
};
template <class T>
struct Shl {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    u64* d = w.row(i.d);
    const u64 *a = w.row(i.a), *b = w.row(i.b);
    each(mask, [=](u32 l) {
      const u32 n = u32(b[l]);
      d[l] = n >= 8 * sizeof(T) ? 0 : put(Unsigned<T>(get<Unsigned<T>>(a[l]) << n));
    });
  }
};
template <class T>
struct Shr {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    u64* d = w.row(i.d);
    const u64 *a = w.row(i.a), *b = w.row(i.b);
    each(mask, [=](u32 l) {
      const u32 n = u32(b[l]);
      const T x = get<T>(a[l]);
      d[l] = put(n >= 8 * sizeof(T) ? T(std::is_signed_v<T> && x < 0 ? -1 : 0) : T(x >> n));
    });
  }
};
// shf: mode 0 left, 1 right; flag: wrap.
void funnel_shift(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
  each(mask, [=, &i](u32 l) {
    const u32 n = i.flag ? u32(c[l]) & 31 : std::min(u32(c[l]), 32u);
    const u64 v = u64(u32(b[l])) << 32 | u32(a[l]);
    d[l] = i.mode == 0 ? u32((v << n) >> 32) : u32(v >> n);
  });
}
template <class T>
struct BitFind {  // flag: shiftamt
  static void run(Warp& w, const Instruction& i, u32 mask) {
    u64* d = w.row(i.d);
    const u64* a = w.row(i.a);
    each(mask, [=, &i](u32 l) {
      Unsigned<T> x = get<Unsigned<T>>(a[l]);
      if (std::is_signed_v<T> && T(x) < 0) x = Unsigned<T>(~x);
      u32 r = x ? u32(8 * sizeof(T) - 1 - std::countl_zero(x)) : ~0u;
      if (i.flag && r != ~0u) r = 8 * sizeof(T) - 1 - r;
      d[l] = r;
    });
  }
};
template <class T>
struct BitExtract {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    constexpr u32 bits = 8 * sizeof(T);
    u64* d = w.row(i.d);
    const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
    each(mask, [=](u32 l) {
      const u32 at = u32(b[l]) & 255, n = u32(c[l]) & 255;
      const Unsigned<T> x = get<Unsigned<T>>(a[l]);
      const bool sign = std::is_signed_v<T> && n && (x >> std::min(at + n - 1, bits - 1) & 1);
      Unsigned<T> r = at < bits ? Unsigned<T>(x >> at) : 0;
      const u32 kept = at < bits ? std::min(n, bits - at) : 0;
      const Unsigned<T> keep = kept >= bits ? Unsigned<T>(~Unsigned<T>(0)) : Unsigned<T>((Unsigned<T>(1) << kept) - 1);
      r = Unsigned<T>(sign ? (r & keep) | ~keep : r & keep);
      d[l] = put(r);
    });
  }
};
template <class T>
struct BitInsert {
  static void run(Warp& w, const Instruction& i, u32 mask) {
    constexpr u32 bits = 8 * sizeof(T);
    u64* d = w.row(i.d);
    const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c), *e = w.row(i.e);
    each(mask, [=](u32 l) {
      const u32 at = u32(c[l]) & 255, n = u32(e[l]) & 255;
      T r = get<T>(b[l]);
      if (at < bits && n) {
        const u32 kept = std::min(n, bits - at);
        const T field = T((kept >= bits ? ~T(0) : T((T(1) << kept) - 1)) << at);
        r = T((r & ~field) | (T(get<T>(a[l]) << at) & field));
      }
      d[l] = put(r);
    });
  }
};
// mode: the nibbles of c (0), or one of f4e, b4e, rc8, ecl, ecr, rc16.
void permute(Warp& w, const Instruction& i, u32 mask) {
  static constexpr u32 kSelectors[6][4] = {{0x3210, 0x4321, 0x5432, 0x6543}, {0x5670, 0x6701, 0x7012, 0x0123},
                                           {0x0000, 0x1111, 0x2222, 0x3333}, {0x3210, 0x3211, 0x3222, 0x3333},
                                           {0x0000, 0x1110, 0x2210, 0x3210}, {0x1010, 0x3232, 0x1010, 0x3232}};
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
  each(mask, [=, &i](u32 l) {
    const u64 v = u64(u32(b[l])) << 32 | u32(a[l]);
    const u32 selector = i.mode ? kSelectors[i.mode - 1][c[l] & 3] : u32(c[l]);
    u32 r = 0;
    for (int k = 0; k < 4; ++k) {
      const u32 s = selector >> 4 * k;
      u32 byte = u32(v >> 8 * (s & 7)) & 255;
      if (!i.mode && (s & 8)) byte = byte & 128 ? 255 : 0;
      r |= byte << 8 * k;
    }
    d[l] = r;
  });
}
void logic3(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
  const u32 table = u32(w.row(i.e)[0]);
  u64 term[8];
  for (int k = 0; k < 8; ++k) term[k] = table >> k & 1 ? 0xffffffffu : 0;
  each(mask, [&](u32 l) {
    const u64 x = a[l], y = b[l], z = c[l];
    const u64 y0 = (~z & term[0]) | (z & term[1]), y1 = (~z & term[2]) | (z & term[3]);
    const u64 y4 = (~z & term[4]) | (z & term[5]), y5 = (~z & term[6]) | (z & term[7]);
    d[l] = ((~x & ((~y & y0) | (y & y1))) | (x & ((~y & y4) | (y & y5)))) & 0xffffffffu;
  });
}
// find the n-th set bit: fns.b32 d, mask, base, offset
void find_nth_set(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
  each(mask, [=](u32 l) {
    const u32 bits = u32(a[l]);
    const s32 base = s32(b[l]), offset = s32(c[l]), step = offset < 0 ? -1 : 1;
    s32 left = offset == 0 ? 1 : std::abs(offset);
    u32 found = ~0u;
    if (offset != 0 || (bits >> base & 1))
      for (s32 k = base; k >= 0 && k < 32; k += step)
        if (bits >> k & 1 && --left == 0) {
          found = u32(k);
          break;
        }
    d[l] = found;
  });
}
// dp4a, dp2a: flag, flag2: a, b signed; mode: 4, or 2 with mode2 the half of b.
void dot_product(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
  const auto byte = [](u64 v, int k, bool is_signed) { return is_signed ? s32(s8(v >> 8 * k)) : s32(u8(v >> 8 * k)); };
  each(mask, [=, &i](u32 l) {
    u32 sum = u32(c[l]);
    for (int k = 0; k < i.mode; ++k) {
      const s32 x = i.mode == 4 ? byte(a[l], k, i.flag) : i.flag ? s32(s16(a[l] >> 16 * k)) : s32(u16(a[l] >> 16 * k));
      sum += u32(x * byte(b[l], i.mode == 4 ? k : k + 2 * i.mode2, i.flag2));
    }
    d[l] = sum;
  });
}

bool decode_multiply(const Decoding& p, Instruction& i) {
  const std::string t = p.type();
  const bool mad = p.is("mad");
  i.flag = mad;
  if (p.has("wide"))
    i.execute = t == "u16"   ? Wide<u16>::run
                : t == "s16" ? Wide<s16>::run
                : t == "u32" ? Wide<u32>::run
                             : Wide<s32>::run;
  else if (p.has("hi"))
    i.execute = mad ? pick_integer<MadHigh>(t) : pick_integer<Of<MulHigh>::Two>(t);
  else
    i.execute = mad ? pick_integer<MadLow>(t) : pick_integer<Of<MulLow>::Two>(t);
  return i.execute;
}

}  // namespace

bool decode_integer(const Decoding& p, Instruction& i) {
  const std::string t = p.type(), &op = p.source.base;
  if (t.empty() || t == "pred" || t[0] == 'f' || t[0] == 'e' || t.substr(0, 2) == "bf") return false;
  const bool wide64 = t == "b64" || t == "u64" || t == "s64";
  p.rows_in_order(i);
  const bool carries = op == "addc" || op == "subc" || op == "madc";
  if (carries || p.has("cc")) {
    i.mode = op.substr(0, 3) == "add" ? 0 : op.substr(0, 3) == "sub" ? 1 : p.has("hi") ? 3 : 2;
    i.flag = carries;
    i.flag2 = p.has("cc");
    i.e = 0;  // register row 0 of the warp is the carry
    i.execute = pick_integer<Carry>(t);
    return i.execute;
  }
  if (t == "u16x2" || t == "s16x2") {
    const bool is_signed = t[0] == 's';
    i.execute = op == "add"   ? packed16<u16, Add>
                : op == "sub" ? packed16<u16, Sub>
                : op == "min" ? (is_signed ? packed16<s16, Min> : packed16<u16, Min>)
                : op == "max" ? (is_signed ? packed16<s16, Max> : packed16<u16, Max>)
                              : nullptr;
    return i.execute;
  }
  if (op == "mul" || op == "mad") return decode_multiply(p, i);
  i.execute = op == "add"                      ? pick_integer<Of<Add>::Two>(t)
              : op == "sub"                    ? pick_integer<Of<Sub>::Two>(t)
              : op == "div"                    ? pick_integer<Of<Div>::Two>(t)
              : op == "rem"                    ? pick_integer<Of<Rem>::Two>(t)
              : op == "min"                    ? pick_integer<Of<Min>::Two>(t)
              : op == "max"                    ? pick_integer<Of<Max>::Two>(t)
              : op == "and"                    ? pick_integer<Of<And>::Two>(t)
              : op == "or"                     ? pick_integer<Of<Or>::Two>(t)
              : op == "xor"                    ? pick_integer<Of<Xor>::Two>(t)
              : op == "not"                    ? pick_integer<Of<Not>::One>(t)
              : op == "cnot"                   ? pick_integer<Of<CNot>::One>(t)
              : op == "neg"                    ? pick_integer<Of<Neg>::One>(t)
              : op == "abs"                    ? pick_integer<Of<Abs>::One>(t)
              : op == "popc"                   ? pick_integer<Of<Popc>::One>(t)
              : op == "clz"                    ? pick_integer<Of<Clz>::One>(t)
              : op == "brev"                   ? pick_integer<Of<Brev>::One>(t)
              : op == "shl"                    ? pick_integer<Shl>(t)
              : op == "shr"                    ? pick_integer<Shr>(t)
              : op == "bfind"                  ? pick_integer<BitFind>(t)
              : op == "bfe"                    ? pick_integer<BitExtract>(t)
              : op == "bfi"                    ? (wide64 ? BitInsert<u64>::run : BitInsert<u32>::run)
              : op == "sad"                    ? pick_integer<Sad>(t)
              : op == "prmt"                   ? permute
              : op == "lop3"                   ? logic3
              : op == "shf"                    ? funnel_shift
              : op == "fns"                    ? find_nth_set
              : op == "dp4a" || op == "dp2a"   ? dot_product
              : op == "mul24" || op == "mad24" ? (t[0] == 's' ? Mul24<s32>::run : Mul24<u32>::run)
                                               : nullptr;
  if (op == "bfind") i.flag = p.has("shiftamt");
  if (op == "shf") {
    i.mode = p.has("r");
    i.flag = p.has("wrap");
  }
  if (op == "mul24" || op == "mad24") {
    if (p.has("hi")) return false;
    i.flag = op == "mad24";
  }
  if (op == "prmt") i.mode = u8(p.which({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"}) + 1);
  if (op == "dp4a" || op == "dp2a") {
    i.mode = op == "dp4a" ? 4 : 2;
    i.mode2 = p.has("hi");
    i.flag = p.types.at(0)[0] == 's';
    i.flag2 = p.types.at(1)[0] == 's';
  }
  return i.execute;
}

}  // namespace softgpu
