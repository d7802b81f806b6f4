// Tensor cores: mma.sync, ldmatrix, stmatrix, movmatrix. PTX ISA, "Warp Level Matrix Instructions". Products are exact,
// sums are f32 (or s32) in the order of k; hardware sums in its own order and truncates.
//
// Fragments of m16n8kK with E elements a register (4 bytes), g = lane / 4, t = lane % 4:
//   A: register r holds row g + 8 (r % 2), columns E t + 4 E (r / 2) + 0..E-1     (tf32: E = 1)
//   B: register r holds column g, rows E t + 4 E r + 0..E-1
//   C, D (f32, s32): element e: row g + 8 (e / 2), column 2 t + e % 2; f16: the same, two a register
#include <algorithm>

#include "tests/softgpu/block.h"
#include "tests/softgpu/decoding.h"
#include "tests/softgpu/numbers.h"

namespace softgpu {

namespace {

enum Element : u8 { kBf16, kF16, kTf32, kS8, kU8 };

template <u8 E>
struct Traits;
template <>
struct Traits<kBf16> {
  using Sum = float;
  static constexpr int per_register = 2;
  static float value(u32 bits, int k) { return to_float(BFloat16{u16(bits >> 16 * k)}); }
};
template <>
struct Traits<kF16> {
  using Sum = float;
  static constexpr int per_register = 2;
  static float value(u32 bits, int k) { return to_float(Half{u16(bits >> 16 * k)}); }
};
template <>
struct Traits<kTf32> {
  using Sum = float;
  static constexpr int per_register = 1;
  static float value(u32 bits, int) { return std::bit_cast<float>(bits & ~0x1fffu); }
};
template <>
struct Traits<kS8> {
  using Sum = s32;
  static constexpr int per_register = 4;
  static s32 value(u32 bits, int k) { return s8(bits >> 8 * k); }
};
template <>
struct Traits<kU8> {
  using Sum = s32;
  static constexpr int per_register = 4;
  static s32 value(u32 bits, int k) { return u8(bits >> 8 * k); }
};

// rows: D, A, B, C registers; flag: C is f16; flag2: D is f16; mode2: .satfinite
template <u8 EA, u8 EB, int depth>
void multiply(Warp& w, const Instruction& i, u32) {
  using Sum = typename Traits<EA>::Sum;
  constexpr int per = Traits<EA>::per_register;
  constexpr int a_registers = depth / per / 2, b_registers = a_registers / 2;
  const int d_registers = i.flag2 ? 2 : 4, c_registers = i.flag ? 2 : 4;
  alignas(64) Sum a[16][depth], b[depth][8], d[16][8];
  const Row* rows = i.rows.data();
  for (int r = 0; r < a_registers; ++r) {
    const u64* source = w.row(rows[d_registers + r]);
    for (u32 l = 0; l < 32; ++l)
      for (int k = 0; k < per; ++k)
        a[l / 4 + 8 * u32(r % 2)][int(l % 4) * per + 4 * per * (r / 2) + k] = Traits<EA>::value(u32(source[l]), k);
  }
  for (int r = 0; r < b_registers; ++r) {
    const u64* source = w.row(rows[d_registers + a_registers + r]);
    for (u32 l = 0; l < 32; ++l)
      for (int k = 0; k < per; ++k) b[int(l % 4) * per + 4 * per * r + k][l / 4] = Traits<EB>::value(u32(source[l]), k);
  }
  for (int e = 0; e < 4; ++e) {
    const u64* source = w.row(rows[d_registers + a_registers + b_registers + (c_registers == 2 ? e / 2 : e)]);
    for (u32 l = 0; l < 32; ++l)
      d[l / 4 + 8 * u32(e / 2)][l % 4 * 2 + u32(e % 2)] =
          i.flag ? Sum(to_float(Half{u16(source[l] >> 16 * (e % 2))})) : get<Sum>(source[l]);
  }
  for (int r = 0; r < 16; ++r) {
    Sum sum[8];
    for (int n = 0; n < 8; ++n) sum[n] = d[r][n];
    for (int k = 0; k < depth; ++k)
      for (int n = 0; n < 8; ++n) {
        if constexpr (std::is_same_v<Sum, float>)
          sum[n] += a[r][k] * b[k][n];
        else if (i.mode2)
          sum[n] = s32(std::clamp<s64>(s64(sum[n]) + s64(a[r][k]) * b[k][n], INT32_MIN, INT32_MAX));
        else
          sum[n] = s32(u32(sum[n]) + u32(a[r][k] * b[k][n]));
      }
    for (int n = 0; n < 8; ++n) d[r][n] = sum[n];
  }
  for (int e = 0; e < 4; ++e) {
    u64* target = w.row(rows[i.flag2 ? e / 2 : e]);
    for (u32 l = 0; l < 32; ++l) {
      const Sum value = d[l / 4 + 8 * u32(e / 2)][l % 4 * 2 + u32(e % 2)];
      if (!i.flag2)
        target[l] = put(value);
      else if (e % 2 == 0)
        target[l] = round_half(double(value)).bits;
      else
        target[l] |= u64(round_half(double(value)).bits) << 16;
    }
  }
  if (w.block->launch.options.counters) count_mma(w, i, depth);
}

template <int depth>
Execute pick_bytes(const std::string& a, const std::string& b) {
  if (a == "s8") return b == "s8" ? multiply<kS8, kS8, depth> : multiply<kS8, kU8, depth>;
  return b == "s8" ? multiply<kU8, kS8, depth> : multiply<kU8, kU8, depth>;
}

bool decode_mma(const Decoding& p, Instruction& i) {
  if (p.types.size() != 4 || !p.has("row") || !p.has("col") || p.has("sp") || p.source.operands.size() != 4)
    return false;
  const int shape = p.which({"m16n8k4", "m16n8k8", "m16n8k16", "m16n8k32"});
  if (shape < 0) return false;
  i.size = u8(4 << shape);
  const std::string &a = p.types[1], &b = p.types[2];
  i.flag2 = p.types[0] == "f16";
  i.flag = p.types[3] == "f16";
  i.mode2 = p.has("satfinite");
  int per = 2;
  if (a == "bf16" && b == "bf16" && (i.size == 8 || i.size == 16)) {
    i.execute = i.size == 8 ? multiply<kBf16, kBf16, 8> : multiply<kBf16, kBf16, 16>;
  } else if (a == "f16" && b == "f16" && (i.size == 8 || i.size == 16)) {
    i.execute = i.size == 8 ? multiply<kF16, kF16, 8> : multiply<kF16, kF16, 16>;
  } else if (a == "tf32" && b == "tf32" && (i.size == 4 || i.size == 8)) {
    i.execute = i.size == 4 ? multiply<kTf32, kTf32, 4> : multiply<kTf32, kTf32, 8>;
    per = 1;
  } else if ((a == "s8" || a == "u8") && (b == "s8" || b == "u8") && (i.size == 16 || i.size == 32)) {
    i.execute = i.size == 16 ? pick_bytes<16>(a, b) : pick_bytes<32>(a, b);
    per = 4;
  } else {
    return false;
  }
  const std::string sum = per == 4 ? "s32" : "f32";
  if ((p.types[0] != sum && !(i.flag2 && a == "f16")) || (p.types[3] != sum && !(i.flag && a == "f16"))) return false;
  for (const DecodedOperand& o : p.operands) {
    if (o.kind == DecodedOperand::Kind::vector)
      i.rows.insert(i.rows.end(), o.rows.begin(), o.rows.end());
    else
      i.rows.push_back(o.row);
  }
  return i.rows.size() == size_t((i.flag2 ? 2 : 4) + (i.flag ? 2 : 4) + i.size / per / 2 + i.size / per / 4);
}

// ldmatrix, stmatrix: lane l gives the address of row l % 8 of matrix l / 8; flag: .trans
template <bool Store>
void move_matrix(Warp& w, const Instruction& i, u32) {
  Block& block = *w.block;
  const u64* a = w.row(i.a);
  const u32 matrices = u32(i.rows.size());
  std::byte* rows[32];
  u64 shifted[32] = {};
  for (u32 l = 0; l < matrices * 8; ++l) {
    u64 address = a[l] + u64(i.offset);
    if (i.space == Space::generic) address -= reinterpret_cast<u64>(block.shared);
    shifted[l] = address - u64(i.offset);
    rows[l] = locate(w, i, l, Space::shared, address, 16, Store ? Access::write : Access::read);
  }
  if (block.launch.options.counters)
    count_request(w, i, matrices == 4 ? ~0u : (1u << matrices * 8) - 1, Space::shared, shifted, 16, Store);
  for (u32 m = 0; m < matrices; ++m) {
    u64* values = w.row(i.rows[m]);
    for (u32 l = 0; l < 32; ++l) {
      u32 v = 0;
      for (u32 h = 0; h < 2; ++h) {
        const u32 row = i.flag ? l % 4 * 2 + h : l / 4, column = i.flag ? l / 4 : l % 4 * 2 + h;
        // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): 8 rows a matrix were located
        std::byte* p = rows[m * 8 + row] + column * 2;
        u16 x = u16(values[l] >> 16 * h);
        if constexpr (Store)
          std::memcpy(p, &x, 2);
        else
          std::memcpy(&x, p, 2);
        v |= u32(x) << 16 * h;
      }
      if constexpr (!Store) values[l] = v;
    }
  }
}
void transpose(Warp& w, const Instruction& i, u32) {  // movmatrix.trans
  u16 m[8][8];
  const u64* a = w.row(i.a);
  u64* d = w.row(i.d);
  for (u32 l = 0; l < 32; ++l)
    for (u32 h = 0; h < 2; ++h) m[l / 4][l % 4 * 2 + h] = u16(a[l] >> 16 * h);
  for (u32 l = 0; l < 32; ++l) d[l] = u32(m[l % 4 * 2][l / 4]) | u32(m[l % 4 * 2 + 1][l / 4]) << 16;
}

}  // namespace

bool decode_tensor(const Decoding& p, Instruction& i) {
  const bool loads = p.is("ldmatrix"), stores = p.is("stmatrix");
  if (!p.is("mma") && !loads && !stores && !p.is("movmatrix")) return false;
  i.flow = Flow::collective;
  i.e = p.constant(0xffffffff);
  if (p.is("mma")) return decode_mma(p, i);
  if (!p.has("b16") || !p.has("m8n8")) return false;
  i.flag = p.has("trans");
  if (p.is("movmatrix")) {
    i.d = p.row(0);
    i.a = p.row(1);
    i.execute = transpose;
    return i.flag;
  }
  const auto& memory = p.operands.at(loads ? 1 : 0);
  const auto& value = p.operands.at(loads ? 0 : 1);
  i.space = p.space();
  i.a = memory.row;
  i.offset = memory.offset;
  i.rows = value.kind == DecodedOperand::Kind::vector ? value.rows : std::vector<Row>{value.row};
  i.execute = loads ? move_matrix<false> : move_matrix<true>;
  return i.rows.size() == (p.has("x4") ? 4u : p.has("x2") ? 2u : 1u);
}

}  // namespace softgpu
