// Floating-point arithmetic: PTX ISA, "Floating-Point Instructions", "Half Precision Floating-Point Instructions".
// The .approx forms are computed exactly and rounded once; hardware differs by some ulps.
#include <algorithm>
#include <cmath>

#include "tests/softgpu/decoding.h"
#include "tests/softgpu/numbers.h"

namespace softgpu {
namespace {

enum Mode2 : u8 { kFlush = 1, kSaturate = 2, kRelu = 4, kNan = 8 };

template <class T>
T saturate(T x) {
  return x > 0 ? std::min(x, T(1)) : T(0);
}

struct Add {
  template <class T>
  static T of(T a, T b) {
    return a + b;
  }
};
struct Sub {
  template <class T>
  static T of(T a, T b) {
    return a - b;
  }
};
struct Mul {
  template <class T>
  static T of(T a, T b) {
    return a * b;
  }
};
struct Div {
  template <class T>
  static T of(T a, T b) {
    return a / b;
  }
};
struct Min {
  template <class T>
  static T of(T a, T b) {
    return min_num(a, b);
  }
};
struct Max {
  template <class T>
  static T of(T a, T b) {
    return max_num(a, b);
  }
};
struct CopySign {
  template <class T>
  static T of(T a, T b) {
    return std::copysign(b, a);
  }
};
struct Sqrt {
  template <class T>
  static T of(T a) {
    return std::sqrt(a);
  }
};
struct Rsqrt {
  template <class T>
  static T of(T a) {
    return T(1 / std::sqrt(double(a)));
  }
};
struct Rcp {
  template <class T>
  static T of(T a) {
    return 1 / a;
  }
};
struct Ex2 {
  template <class T>
  static T of(T a) {
    return std::exp2(a);
  }
};
struct Lg2 {
  template <class T>
  static T of(T a) {
    return std::log2(a);
  }
};
struct Sin {
  template <class T>
  static T of(T a) {
    return std::sin(a);
  }
};
struct Cos {
  template <class T>
  static T of(T a) {
    return std::cos(a);
  }
};
struct Tanh {
  template <class T>
  static T of(T a) {
    return std::tanh(a);
  }
};
struct Abs {
  template <class T>
  static T of(T a) {
    return std::fabs(a);
  }
};
struct Neg {
  template <class T>
  static T of(T a) {
    return -a;
  }
};
struct Fma {
  template <class T>
  static T of(T a, T b, T c) {
    return std::fma(a, b, c);
  }
};

// Modes is known at compile time, so that the common form (none) is a plain vector loop.
template <class T, u8 Modes>
u64 finish(T x) {
  if constexpr (Modes & kFlush) x = flush(x);
  if constexpr (Modes & kSaturate) x = saturate(x);
  return put(x);
}
template <class T, u8 Modes>
T start(u64 bits) {
  const T x = get<T>(bits);
  return Modes & kFlush ? flush(x) : x;
}
template <class T, class Op, u8 Modes>
void unary(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64* a = w.row(i.a);
  each(mask, [=](u32 l) { d[l] = finish<T, Modes>(Op::template of<T>(start<T, Modes>(a[l]))); });
}
template <class T, class Op, u8 Modes>
void binary(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b);
  each(mask, [=](u32 l) { d[l] = finish<T, Modes>(Op::template of<T>(start<T, Modes>(a[l]), start<T, Modes>(b[l]))); });
}
template <class T, class Op, u8 Modes>
void ternary(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
  each(mask, [=](u32 l) {
    d[l] = finish<T, Modes>(Op::template of<T>(start<T, Modes>(a[l]), start<T, Modes>(b[l]), start<T, Modes>(c[l])));
  });
}
template <class Op, int Operands, u8 Modes>
Execute pick(bool is_double) {
  if constexpr (Operands == 1) return is_double ? unary<double, Op, Modes> : unary<float, Op, Modes>;
  if constexpr (Operands == 2) return is_double ? binary<double, Op, Modes> : binary<float, Op, Modes>;
  if constexpr (Operands == 3) return is_double ? ternary<double, Op, Modes> : ternary<float, Op, Modes>;
}
template <class Op, int Operands>
Execute pick(bool is_double, u8 modes) {
  return modes == 0           ? pick<Op, Operands, 0>(is_double)
         : modes == kFlush    ? pick<Op, Operands, kFlush>(is_double)
         : modes == kSaturate ? pick<Op, Operands, kSaturate>(is_double)
                              : pick<Op, Operands, kFlush | kSaturate>(is_double);
}

// Directed rounding; mode: 1 to zero, 2 down, 3 up; mode2's upper half: 0 add, 1 sub, 2 mul, 3 fma, 4 div, 5 rcp, 6
// sqrt.
template <class T>
T round_directed(__float128 x, u8 mode) {
  const T f = T(x);
  if (__float128(f) == x || !std::isfinite(f)) return f;
  const bool above = __float128(f) > x;
  if (mode == 1 && above != (x < 0)) return std::nextafter(f, T(0));
  if (mode == 2 && above) return std::nextafter(f, -std::numeric_limits<T>::infinity());
  if (mode == 3 && !above) return std::nextafter(f, std::numeric_limits<T>::infinity());
  return f;
}
template <class T>
void directed(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
  each(mask, [=, &i](u32 l) {
    const bool flushes = i.mode2 & kFlush;
    const auto value = [&](u64 bits) { return __float128(flushes ? flush(get<T>(bits)) : get<T>(bits)); };
    __float128 r = 0;
    switch (i.mode2 >> 4) {
      case 0:
        r = value(a[l]) + value(b[l]);
        break;
      case 1:
        r = value(a[l]) - value(b[l]);
        break;
      case 2:
        r = value(a[l]) * value(b[l]);
        break;
      case 3:
        r = value(a[l]) * value(b[l]) + value(c[l]);
        break;
      case 4:
        r = value(a[l]) / value(b[l]);
        break;
      case 5:
        r = 1 / value(a[l]);
        break;
      default: {  // one Newton step makes the square root of a double exact enough to see which side it lies on
        const __float128 x = value(a[l]), s = __float128(std::sqrt(get<T>(a[l])));
        r = s > 0 && s - s == 0 ? (s + x / s) / 2 : s;
      }
    }
    T x = round_directed<T>(r, i.mode);
    if (flushes) x = flush(x);
    d[l] = put(i.mode2 & kSaturate ? saturate(x) : x);
  });
}

// One or two 16-bit numbers in a lane. A NaN wins in the .NaN forms of min and max.
template <class H, int N, class Op>
void narrow(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64 *a = w.row(i.a), *b = w.row(i.b), *c = w.row(i.c);
  each(mask, [=, &i](u32 l) {
    u32 out = 0;
    for (int k = 0; k < N; ++k) {
      const auto value = [&](const u64* row) { return double(to_float(H{u16(row[l] >> 16 * k)})); };
      double r = 0;
      if constexpr (requires { Op::of(1.0, 1.0, 1.0); })
        r = Op::of(value(a), value(b), value(c));
      else if constexpr (requires { Op::of(1.0, 1.0); })
        r = (i.mode2 & kNan) && (std::isnan(value(a)) || std::isnan(value(b))) ? NAN : Op::of(value(a), value(b));
      else
        r = Op::of(value(a));
      if (i.mode2 & kSaturate) r = saturate(r);
      if ((i.mode2 & kRelu) && !std::isnan(r)) r = std::max(r, 0.0);
      out |= u32(round_to<H>(r).bits) << 16 * k;
    }
    d[l] = out;
  });
}
template <class Op>
Execute pick_narrow(const std::string& t) {
  return t == "bf16"     ? narrow<BFloat16, 1, Op>
         : t == "bf16x2" ? narrow<BFloat16, 2, Op>
         : t == "f16"    ? narrow<Half, 1, Op>
         : t == "f16x2"  ? narrow<Half, 2, Op>
                         : nullptr;
}
// Signs are bits: NaN keeps its payload.
template <u32 Bits, bool Flip>
void sign(Warp& w, const Instruction& i, u32 mask) {
  u64* d = w.row(i.d);
  const u64* a = w.row(i.a);
  each(mask, [=](u32 l) { d[l] = u32(Flip ? a[l] ^ Bits : a[l] & ~u64(Bits)); });
}

bool decode_narrow(const Decoding& p, Instruction& i) {
  const std::string t = p.type(), &op = p.source.base;
  const bool two = t.back() == '2';
  i.execute = op == "add"                  ? pick_narrow<Add>(t)
              : op == "sub"                ? pick_narrow<Sub>(t)
              : op == "mul"                ? pick_narrow<Mul>(t)
              : op == "fma" || op == "mad" ? pick_narrow<Fma>(t)
              : op == "min"                ? pick_narrow<Min>(t)
              : op == "max"                ? pick_narrow<Max>(t)
              : op == "ex2"                ? pick_narrow<Ex2>(t)
              : op == "tanh"               ? pick_narrow<Tanh>(t)
              : op == "abs"                ? (two ? sign<0x80008000u, false> : sign<0x8000u, false>)
              : op == "neg"                ? (two ? sign<0x80008000u, true> : sign<0x8000u, true>)
                                           : nullptr;
  return i.execute;
}

template <class T>
void test_class(Warp& w, const Instruction& i, u32 mask) {  // testp; mode: the property
  u32 result = 0;
  const u64* a = w.row(i.a);
  each(mask, [&](u32 l) {
    const T x = get<T>(a[l]);
    const int kind = std::fpclassify(x);
    const bool yes = i.mode == 0   ? kind != FP_NAN && kind != FP_INFINITE
                     : i.mode == 1 ? kind == FP_INFINITE
                     : i.mode == 2 ? kind != FP_NAN
                     : i.mode == 3 ? kind == FP_NAN
                     : i.mode == 4 ? kind == FP_NORMAL
                                   : kind == FP_SUBNORMAL;
    result |= u32(yes) << l;
  });
  w.predicate(i.d) = (w.predicate(i.d) & ~mask) | result;
}

}  // namespace

bool decode_float(const Decoding& p, Instruction& i) {
  const std::string t = p.type(), &op = p.source.base;
  p.rows_in_order(i);
  i.mode2 = u8(p.has("ftz") * kFlush | p.has("sat") * kSaturate | p.has("relu") * kRelu | p.has("NaN") * kNan);
  if (t == "bf16" || t == "bf16x2" || t == "f16" || t == "f16x2") return decode_narrow(p, i);
  if (t != "f32" && t != "f64") return false;
  const bool f64 = t == "f64";
  if (op == "testp") {
    const int property = p.which({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
    i.mode = u8(property);
    i.execute = f64 ? test_class<double> : test_class<float>;
    return property >= 0;
  }
  if (const int rounding = p.which({"rz", "rm", "rp"}); rounding >= 0) {
    static const char* const kOps[] = {"add", "sub", "mul", "fma", "div", "rcp", "sqrt"};
    const auto at = std::find(std::begin(kOps), std::end(kOps), op == "mad" ? "fma" : op);
    if (at == std::end(kOps)) return false;
    i.mode = u8(rounding + 1);
    i.mode2 |= u8((at - kOps) << 4);
    i.execute = f64 ? directed<double> : directed<float>;
    return true;
  }
  const u8 modes = i.mode2 & (kFlush | kSaturate);
  if (i.mode2 & kNan) return false;
  i.execute = op == "add"                  ? pick<Add, 2>(f64, modes)
              : op == "sub"                ? pick<Sub, 2>(f64, modes)
              : op == "mul"                ? pick<Mul, 2>(f64, modes)
              : op == "fma" || op == "mad" ? pick<Fma, 3>(f64, modes)
              : op == "div"                ? pick<Div, 2>(f64, modes)
              : op == "min"                ? pick<Min, 2>(f64, modes)
              : op == "max"                ? pick<Max, 2>(f64, modes)
              : op == "copysign"           ? pick<CopySign, 2>(f64, modes)
              : op == "sqrt"               ? pick<Sqrt, 1>(f64, modes)
              : op == "rsqrt"              ? pick<Rsqrt, 1>(f64, modes)
              : op == "rcp"                ? pick<Rcp, 1>(f64, modes)
              : op == "ex2"                ? pick<Ex2, 1>(f64, modes)
              : op == "lg2"                ? pick<Lg2, 1>(f64, modes)
              : op == "sin"                ? pick<Sin, 1>(f64, modes)
              : op == "cos"                ? pick<Cos, 1>(f64, modes)
              : op == "tanh"               ? pick<Tanh, 1>(f64, modes)
              : op == "abs"                ? pick<Abs, 1>(f64, modes)
              : op == "neg"                ? pick<Neg, 1>(f64, modes)
                                           : nullptr;
  return i.execute;
}

}  // namespace softgpu
