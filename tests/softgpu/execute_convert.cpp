// Comparisons, selections, moves and conversions: PTX ISA, "Comparison and Selection", "Data Movement and Conversion"
// instructions.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "tests/softgpu/decoding.h"
#include "tests/softgpu/numbers.h"

namespace softgpu {
namespace {

// ---- setp, set, selp, slct, predicates ----

enum Comparison : u8 { kEq, kNe, kLt, kLe, kGt, kGe, kEqu, kNeu, kLtu, kLeu, kGtu, kGeu, kNum, kNan };

template <class T, u8 C>
bool compare(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    const bool unordered = std::isnan(a) || std::isnan(b);
    if constexpr (C == kEqu) return unordered || a == b;
    if constexpr (C == kNeu) return a != b;
    if constexpr (C == kLtu) return !(a >= b);
    if constexpr (C == kLeu) return !(a > b);
    if constexpr (C == kGtu) return !(a <= b);
    if constexpr (C == kGeu) return !(a < b);
    if constexpr (C == kNum) return !unordered;
    if constexpr (C == kNan) return unordered;
    if constexpr (C == kNe) return !unordered && a != b;
  }
  if constexpr (C == kEq) return a == b;
  if constexpr (C == kNe) return a != b;
  if constexpr (C == kLt) return a < b;
  if constexpr (C == kLe) return a <= b;
  if constexpr (C == kGt) return a > b;
  if constexpr (C == kGe) return a >= b;
  return false;
}
template <class T, u8 C>
u32 compare_lanes(const u64* a, const u64* b) {
  u32 result = 0;
  for (u32 l = 0; l < 32; ++l) {
    if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Half>)
      result |= u32(compare<float, C>(to_float(T{u16(a[l])}), to_float(T{u16(b[l])}))) << l;
    else
      result |= u32(compare<T, C>(get<T>(a[l]), get<T>(b[l]))) << l;
  }
  return result;
}
// mode2: 0, or how predicate c is combined: 1 and, 2 or, 3 xor; flag: c inverted.
u32 combine(const Warp& w, const Instruction& i, u32 value) {
  if (!i.mode2) return value;
  const u32 c = w.predicates[i.c] ^ (i.flag ? ~0u : 0);
  return i.mode2 == 1 ? value & c : i.mode2 == 2 ? value | c : value ^ c;
}
void merge(u32& d, u32 mask, u32 value) { d = (d & ~mask) | (value & mask); }
template <class T, u8 C>
void set_predicate(Warp& w, const Instruction& i, u32 mask) {
  const u32 value = compare_lanes<T, C>(w.row(i.a), w.row(i.b));
  const u32 first = combine(w, i, value), second = combine(w, i, ~value);
  merge(w.predicate(i.d), mask, first);
  if (i.d2) merge(w.predicate(i.d2), mask, second);
}
template <class T, u8 C>
void set_value(Warp& w, const Instruction& i, u32 mask) {  // flag2: 1.0 instead of all ones
  const u32 value = combine(w, i, compare_lanes<T, C>(w.row(i.a), w.row(i.b)));
  u64* d = w.row(i.d);
  const u64 yes = i.flag2 ? 0x3f800000u : 0xffffffffu;
  each(mask, [=](u32 l) { d[l] = value >> l & 1 ? yes : 0; });
}
// Two comparisons of packed halves: setp gives two predicates, set a pair of masks or (flag2) of ones.
template <class H, u8 C>
void set_pair(Warp& w, const Instruction& i, u32 mask) {
  const u64 *a = w.row(i.a), *b = w.row(i.b);
  u32 value[2] = {};
  for (int k = 0; k < 2; ++k)
    for (u32 l = 0; l < 32; ++l)
      value[k] |= u32(compare<float, C>(to_float(H{u16(a[l] >> 16 * k)}), to_float(H{u16(b[l] >> 16 * k)}))) << l;
  if (i.mode == 1) {
    merge(w.predicate(i.d), mask, combine(w, i, value[0]));
    if (i.d2) merge(w.predicate(i.d2), mask, combine(w, i, value[1]));
    return;
  }
  u64* d = w.row(i.d);
  const u32 yes = !i.flag2 ? 0xffff : std::is_same_v<H, Half> ? 0x3c00 : 0x3f80;
  each(mask, [&](u32 l) { d[l] = (value[0] >> l & 1 ? yes : 0) | (value[1] >> l & 1 ? yes << 16 : 0); });
}

template <template <class, u8> class F, class T>
Execute pick_comparison(int c) {
  static constexpr Execute kTable[] = {F<T, 0>::run,  F<T, 1>::run,  F<T, 2>::run,  F<T, 3>::run, F<T, 4>::run,
                                       F<T, 5>::run,  F<T, 6>::run,  F<T, 7>::run,  F<T, 8>::run, F<T, 9>::run,
                                       F<T, 10>::run, F<T, 11>::run, F<T, 12>::run, F<T, 13>::run};
  return kTable[c];
}
template <class T, u8 C>
struct SetPredicate {
  static constexpr Execute run = set_predicate<T, C>;
};
template <class T, u8 C>
struct SetValue {
  static constexpr Execute run = set_value<T, C>;
};
template <class T, u8 C>
struct SetPair {
  static constexpr Execute run = set_pair<T, C>;
};

template <template <class, u8> class F>
Execute pick_comparison(const std::string& t, int c) {
  if (t == "u16" || t == "b16") return pick_comparison<F, u16>(c);
  if (t == "s16") return pick_comparison<F, s16>(c);
  if (t == "u32" || t == "b32") return pick_comparison<F, u32>(c);
  if (t == "s32") return pick_comparison<F, s32>(c);
  if (t == "u64" || t == "b64") return pick_comparison<F, u64>(c);
  if (t == "s64") return pick_comparison<F, s64>(c);
  if (t == "f32") return pick_comparison<F, float>(c);
  if (t == "f64") return pick_comparison<F, double>(c);
  if (t == "f16") return pick_comparison<F, Half>(c);
  if (t == "bf16") return pick_comparison<F, BFloat16>(c);
  return nullptr;
}

bool decode_set(const Decoding& p, Instruction& i) {
  static const std::map<std::string, int> kComparisons = {
      {"eq", kEq},   {"ne", kNe},   {"lt", kLt},   {"le", kLe},   {"gt", kGt},   {"ge", kGe},
      {"lo", kLt},   {"ls", kLe},   {"hi", kGt},   {"hs", kGe},   {"equ", kEqu}, {"neu", kNeu},
      {"ltu", kLtu}, {"leu", kLeu}, {"gtu", kGtu}, {"geu", kGeu}, {"num", kNum}, {"nan", kNan}};
  const auto comparison = kComparisons.find(p.source.modifiers.at(0));
  if (comparison == kComparisons.end()) return false;
  const std::string t = p.type();
  const bool predicate = p.is("setp");
  i.mode2 = u8(p.which({"and", "or", "xor"}) + 1);
  i.d = p.row(0);
  i.d2 = p.operands[0].second;
  i.a = p.row(1);
  i.b = p.row(2);
  if (i.mode2) {
    i.c = p.row(3);
    i.flag = p.operands[3].inverted;
  }
  if (!predicate) i.flag2 = p.types.at(0)[0] == 'f' || p.types[0].substr(0, 2) == "bf";
  if (t == "f16x2" || t == "bf16x2") {
    i.mode = predicate;
    i.execute = t == "f16x2" ? pick_comparison<SetPair, Half>(comparison->second)
                             : pick_comparison<SetPair, BFloat16>(comparison->second);
    return true;
  }
  if (!predicate && p.types[0] != "u32" && p.types[0] != "s32" && p.types[0] != "f32" && p.types[0] != "b32")
    return false;
  i.execute = predicate ? pick_comparison<SetPredicate>(t, comparison->second)
                        : pick_comparison<SetValue>(t, comparison->second);
  return i.execute;
}

void select(Warp& w, const Instruction& i, u32 mask) {
  const u32 condition = w.predicates[i.c] ^ (i.flag ? ~0u : 0);
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b);
  each(mask, [=](u32 l) { d[l] = condition >> l & 1 ? a[l] : b[l]; });
}
void select_by_sign(Warp& w, const Instruction& i, u32 mask) {  // slct; flag: c is f32
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
  each(mask, [=, &i](u32 l) { d[l] = (i.flag ? get<float>(c[l]) >= 0 : s32(c[l]) >= 0) ? a[l] : b[l]; });
}
// Predicates; flag, flag2: a, b inverted. mode: 0 mov, 1 and, 2 or, 3 xor, 4 not.
void predicate_logic(Warp& w, const Instruction& i, u32 mask) {
  const u32 a = w.predicates[i.a] ^ (i.flag ? ~0u : 0), b = w.predicates[i.b] ^ (i.flag2 ? ~0u : 0);
  merge(w.predicate(i.d), mask, i.mode == 0 ? a : i.mode == 1 ? a & b : i.mode == 2 ? a | b : i.mode == 3 ? a ^ b : ~a);
}

// ---- mov ----

void move(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64* a = w.row(i.a);
  each(mask, [=](u32 l) { d[l] = a[l]; });
}
void move_offset(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64* a = w.row(i.a);
  each(mask, [=, &i](u32 l) { d[l] = a[l] + u64(i.offset); });
}
void pack(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 keep = (1ull << 8 * i.size) - 1;
  each(mask, [&](u32 l) {
    u64 v = 0;
    for (size_t k = 0; k < i.rows.size(); ++k) v |= (w.row(i.rows[k])[l] & keep) << 8 * i.size * k;
    d[l] = v;
  });
}
void unpack(Warp& w, const Instruction& i, u32 mask) {
  const u64 keep = (1ull << 8 * i.size) - 1;
  const u64* a = w.row(i.a);
  each(mask, [&](u32 l) {
    const u64 v = a[l];
    for (size_t k = 0; k < i.rows.size(); ++k) w.row(i.rows[k])[l] = v >> 8 * i.size * k & keep;
  });
}

bool decode_move(const Decoding& p, Instruction& i) {
  const std::string t = p.type();
  const auto& d = p.operands.at(0);
  const auto& a = p.operands.at(1);
  if (t == "b128") return false;
  i.d = d.row;
  i.a = a.row;
  if (d.kind == DecodedOperand::Kind::vector || a.kind == DecodedOperand::Kind::vector) {
    const bool packs = a.kind == DecodedOperand::Kind::vector;
    i.rows = packs ? a.rows : d.rows;
    i.size = u8(ptx::size_of(t) / i.rows.size());
    i.execute = packs ? pack : unpack;
    return true;
  }
  if (t == "pred") {
    i.execute = predicate_logic;
    i.flag = a.inverted;
    return true;
  }
  if (a.kind == DecodedOperand::Kind::symbol) return false;
  i.offset = a.offset;
  i.execute = a.offset ? move_offset : move;
  return true;
}

// ---- cvt ----

template <class T>
constexpr bool kNarrow = std::is_same_v<T, BFloat16> || std::is_same_v<T, Half>;
template <class T>
constexpr bool kFloating = std::is_floating_point_v<T> || kNarrow<T>;

enum Mode2 : u8 { kFlush = 1, kSaturate = 2, kRelu = 4 };
enum Rounding : u8 { kNearest, kZero, kDown, kUp };

double round_integer(double x, u8 mode) {
  return mode == kZero ? std::trunc(x) : mode == kDown ? std::floor(x) : mode == kUp ? std::ceil(x) : std::nearbyint(x);
}
float round_float(double x, u8 mode) {
  const float f = float(x);
  if (mode == kNearest || double(f) == x || std::isnan(x)) return f;
  if (mode == kZero && std::fabs(double(f)) > std::fabs(x)) return std::nextafter(f, 0.f);
  if (mode == kDown && double(f) > x) return std::nextafter(f, -INFINITY);
  if (mode == kUp && double(f) < x) return std::nextafter(f, INFINITY);
  return f;
}
template <class D>
u64 narrow_bits(double x, u8 mode) {
  D h = round_to<D>(x);
  if (mode == kNearest || std::isnan(x) || double(to_float(h)) == x) return h.bits;
  const bool away = std::fabs(double(to_float(h))) > std::fabs(x), negative = x < 0;
  const bool toward_zero = mode == kZero || (mode == kDown) != negative;
  if (toward_zero && away) --h.bits;
  if (!toward_zero && !away) ++h.bits;
  return h.bits;
}
template <class S>
double wide(u64 bits) {
  if constexpr (kNarrow<S>)
    return to_float(S{u16(bits)});
  else
    return double(get<S>(bits));
}
template <class D>
u64 from_double(double x, const Instruction& i) {
  if (i.mode2 & kSaturate) x = x > 0 ? std::min(x, 1.0) : 0;
  if ((i.mode2 & kRelu) && !std::isnan(x)) x = std::max(x, 0.0);
  if constexpr (kNarrow<D>)
    return narrow_bits<D>(x, i.mode);
  else if constexpr (std::is_same_v<D, float>)
    return put(i.mode2 & kFlush ? flush(round_float(x, i.mode)) : round_float(x, i.mode));
  else
    return put(x);
}
// A narrow integer in a wider register is extended by its sign.
template <class D>
u64 extend(D v, u8 width) {
  return width == 8 ? u64(s64(v)) : u64(u32(s32(v)));
}

template <class D, class S>
u64 convert(u64 s, const Instruction& i) {
  if constexpr (kFloating<D> && kFloating<S>) {
    double x = wide<S>(s);
    if constexpr (std::is_same_v<S, float>)
      if (i.mode2 & kFlush) x = flush(float(x));
    if (i.flag) {  // cvt.rni.f32.f32
      Instruction exact;
      exact.mode2 = i.mode2;
      return from_double<D>(round_integer(x, i.mode), exact);
    }
    return from_double<D>(x, i);
  } else if constexpr (kFloating<D>) {
    if constexpr (sizeof(S) == 8 && std::is_same_v<D, float>)
      if (i.mode == kNearest) return put(float(get<S>(s)));
    return from_double<D>(wide<S>(s), i);
  } else if constexpr (kFloating<S>) {
    double x = wide<S>(s);
    if constexpr (std::is_same_v<S, float>)
      if (i.mode2 & kFlush) x = flush(float(x));
    if (std::isnan(x)) return extend<D>(sizeof(D) == 8 ? D(1ull << 63) : D(0), i.width);
    x = round_integer(x, i.mode);
    constexpr D low = std::numeric_limits<D>::min(), top = std::numeric_limits<D>::max();
    return extend<D>(x <= double(low) ? low : x >= double(top) ? top : D(x), i.width);
  } else {
    const S v = get<S>(s);
    if (i.mode2 & kSaturate) {
      const s128 clamped =
          std::clamp(s128(v), s128(std::numeric_limits<D>::min()), s128(std::numeric_limits<D>::max()));
      return extend<D>(D(clamped), i.width);
    }
    return extend<D>(D(v), i.width);
  }
}
template <class D, class S>
void convert_lanes(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64* a = w.row(i.a);
  each(mask, [=, &i](u32 l) { d[l] = convert<D, S>(a[l], i); });
}
template <class D>
Execute pick_source(const std::string& t) {
  return t == "u8" || t == "b8"     ? convert_lanes<D, u8>
         : t == "s8"                ? convert_lanes<D, s8>
         : t == "u16" || t == "b16" ? convert_lanes<D, u16>
         : t == "s16"               ? convert_lanes<D, s16>
         : t == "u32" || t == "b32" ? convert_lanes<D, u32>
         : t == "s32"               ? convert_lanes<D, s32>
         : t == "u64" || t == "b64" ? convert_lanes<D, u64>
         : t == "s64"               ? convert_lanes<D, s64>
         : t == "f32"               ? convert_lanes<D, float>
         : t == "f64"               ? convert_lanes<D, double>
         : t == "f16"               ? convert_lanes<D, Half>
         : t == "bf16"              ? convert_lanes<D, BFloat16>
                                    : nullptr;
}
Execute pick_conversion(const std::string& d, const std::string& s) {
  return d == "u8"     ? pick_source<u8>(s)
         : d == "s8"   ? pick_source<s8>(s)
         : d == "u16"  ? pick_source<u16>(s)
         : d == "s16"  ? pick_source<s16>(s)
         : d == "u32"  ? pick_source<u32>(s)
         : d == "s32"  ? pick_source<s32>(s)
         : d == "u64"  ? pick_source<u64>(s)
         : d == "s64"  ? pick_source<s64>(s)
         : d == "f32"  ? pick_source<float>(s)
         : d == "f64"  ? pick_source<double>(s)
         : d == "f16"  ? pick_source<Half>(s)
         : d == "bf16" ? pick_source<BFloat16>(s)
                       : nullptr;
}
// cvt.rn.bf16x2.f32 d, a, b: a is the upper half
template <class H>
void convert_pair(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b);
  each(mask, [=, &i](u32 l) {
    d[l] = from_double<H>(double(get<float>(a[l])), i) << 16 | from_double<H>(double(get<float>(b[l])), i);
  });
}
void convert_tf32(Warp& w, const Instruction& i, u32 mask) {  // cvt.rna.tf32.f32, cvt.rn, cvt.rz
  u64* d = w.row(i.d);
  const u64* a = w.row(i.a);
  each(mask, [=, &i](u32 l) {
    u32 bits = u32(a[l]);
    if (!std::isnan(get<float>(bits))) {
      if (i.flag2)
        bits += 0x1000;
      else if (i.mode == kNearest)
        bits += 0xfff + (bits >> 13 & 1);
    }
    d[l] = bits & ~0x1fffu;
  });
}
// cvt.pack.sat.{s8,u8}.s32.b32 d, a, b, c: d = c << 16 | sat(a) << 8 | sat(b)
template <class D>
void pack_bytes(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
  const auto sat = [](u64 v) {
    return u32(u8(D(std::clamp<s32>(s32(v), std::numeric_limits<D>::min(), std::numeric_limits<D>::max()))));
  };
  each(mask, [=](u32 l) { d[l] = u32(c[l]) << 16 | sat(a[l]) << 8 | sat(b[l]); });
}

bool decode_cvt(const Decoding& p, Instruction& i) {
  if (p.types.size() < 2) return false;
  p.rows_in_order(i);
  i.mode2 = u8(p.has("ftz") * kFlush | p.has("sat") * kSaturate | p.has("relu") * kRelu);
  const std::string &to = p.types[0], &from = p.types[1];
  if (p.has("pack")) {
    i.execute = to == "s8" ? pack_bytes<s8> : to == "u8" ? pack_bytes<u8> : nullptr;
    return i.execute && p.types.size() == 3;
  }
  const int rounding = p.which({"rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi"});
  i.mode = u8(std::max(rounding, 0) & 3);
  i.flag = rounding >= 4;
  i.flag2 = p.has("rna");
  i.width = std::max<u8>(p.operands[0].width, 4);
  if (to == "tf32") {
    i.execute = convert_tf32;
    return from == "f32";
  }
  if (to == "bf16x2" || to == "f16x2") {
    i.execute = to == "bf16x2" ? convert_pair<BFloat16> : convert_pair<Half>;
    return from == "f32" && p.operands.size() == 3;
  }
  i.execute = pick_conversion(to, from);
  return i.execute;
}

}  // namespace

bool decode_compare(const Decoding& p, Instruction& i) {
  const std::string t = p.type();
  if (p.is("setp") || p.is("set")) return decode_set(p, i);
  if (p.is("selp")) {
    p.rows_in_order(i);
    i.flag = p.operands.at(3).inverted;
    i.execute = select;
    return true;
  }
  if (p.is("slct")) {
    p.rows_in_order(i);
    i.flag = t == "f32";
    i.execute = select_by_sign;
    return true;
  }
  if (t == "pred" && !p.is("mov")) {
    static const std::map<std::string, u8> kLogic = {{"and", 1}, {"or", 2}, {"xor", 3}, {"not", 4}};
    const auto logic = kLogic.find(p.source.base);
    if (logic == kLogic.end()) return false;
    p.rows_in_order(i);
    i.flag = p.operands.at(1).inverted;
    if (p.operands.size() > 2) i.flag2 = p.operands[2].inverted;
    i.mode = logic->second;
    i.execute = predicate_logic;
    return true;
  }
  return false;
}

bool decode_convert(const Decoding& p, Instruction& i) {
  if (p.is("mov")) return decode_move(p, i);
  if (p.is("cvt")) return decode_cvt(p, i);
  return false;
}

}  // namespace softgpu
