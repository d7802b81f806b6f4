// Small matrix products in cache, for kernels that make an operand on the way and use it at once (attention):
//   c[m,n] = sum_k a[m,k] b[k,n]      or  +=;  f32 accumulation, k ascending
// Operands are made of 32-bit units: a float, or two bf16 that neighbour in the summed dimension where the target has
// vdpbf16ps. A unit of a is broadcast, a vector of units of b is multiplied by it; a tile of c, kTileRows x kPanel,
// stays in registers over the whole sum. b is packed so that a tile reads it from end to end: rows that are a power of
// two apart would fight for the same sets of the L1 cache.
#pragma once

#include <type_traits>
#include <utility>

#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {

// The first element is the lower half.
struct Bf16Pair {
  uint32_t bits;
};
// How this target multiplies elements of type T.
#if defined(__AVX512BF16__)
template <class T>
using UnitOf = std::conditional_t<std::is_same_v<T, bf16>, Bf16Pair, float>;
#else
template <class T>
using UnitOf = float;
#endif
// Elements of the summed dimension in one unit.
template <class Unit>
inline constexpr int kDepth = std::is_same_v<Unit, Bf16Pair> ? 2 : 1;

// 24 (AVX2: 12) accumulators of 32 (16) registers: enough to hide the latency of two multiplications per cycle.
inline constexpr int kTileRows = 6;
#if defined(__AVX512F__)
using Register = __m512;
inline constexpr int kPanelVectors = 4;
#else
using Register = __m256;
inline constexpr int kPanelVectors = 2;
#endif
inline constexpr int kPanel = kPanelVectors * kLanes;

constexpr int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
template <class Unit>
constexpr int64_t units(int64_t elements) {
  return (elements + kDepth<Unit> - 1) / kDepth<Unit>;
}

// Rows of a matrix in memory: row i begins at data + i * stride.
template <class T>
struct Rows {
  T* data;
  int64_t stride;
  int64_t rows, cols;
};

// a: unit (m, k) is data[m * row_stride + k * depth_stride].
template <class Unit>
struct Left {
  const Unit* data;
  int64_t row_stride, depth_stride;
};

// b: panels of `width` columns, each [depth][width] units; what is missing at the ends is zero.
template <class Unit>
struct Packed {
  Unit* data;
  int64_t depth, columns;  // units, elements
  int64_t width;           // kPanel, or all columns where there are fewer
  int64_t panel_stride;    // units from one panel to the next

  Packed(Unit* memory, int64_t depth_units, int64_t column_count)
      : data(memory),
        depth(depth_units),
        columns(column_count),
        width(round_up(column_count, kLanes) < kPanel ? round_up(column_count, kLanes) : kPanel),
        panel_stride(depth_units * width) {}
  static int64_t size(int64_t depth_units, int64_t column_count) {
    return depth_units * round_up(column_count, column_count < kPanel ? kLanes : kPanel);
  }

  // Columns [begin, begin + count); begin is a multiple of kPanel.
  Packed column_slice(int64_t begin, int64_t count) const {
    Packed part = *this;
    part.data += begin / kPanel * panel_stride;
    part.columns = count;
    return part;
  }
  // Units [begin, begin + count) of the summed dimension.
  Packed depth_slice(int64_t begin, int64_t count) const {
    Packed part = *this;
    part.data += begin * width;
    part.depth = count;
    return part;
  }
};

[[gnu::always_inline]] inline void store_units(Register v, void* p) {
#if defined(__AVX512F__)
  _mm512_storeu_ps(p, v);
#else
  _mm256_storeu_ps(static_cast<float*>(p), v);
#endif
}
[[gnu::always_inline]] inline Register load_unit_vector(const float* p) { return native(load(p)); }
[[gnu::always_inline]] inline Register broadcast_unit(const float* p) { return native(Vec(*p)); }
[[gnu::always_inline]] inline Register multiply_add(Register a, Register b, Register c) {
  return native(multiply_add(to_vec(a), to_vec(b), to_vec(c)));
}
#if defined(__AVX512BF16__)
[[gnu::always_inline]] inline __m512bh load_unit_vector(const Bf16Pair* p) { return (__m512bh)_mm512_loadu_si512(p); }
[[gnu::always_inline]] inline __m512bh broadcast_unit(const Bf16Pair* p) {
  return (__m512bh)_mm512_set1_epi32(static_cast<int>(p->bits));
}
[[gnu::always_inline]] inline Register multiply_add(__m512bh a, __m512bh b, Register c) {
  return _mm512_dpbf16_ps(c, a, b);
}
#endif

enum class Into : uint8_t { replace, add };

// One tile of c, M x N vectors, in registers.
template <int M, int N, class Unit>
void multiply_tile(float* c, int64_t c_stride, Left<Unit> a, const Unit* b, int64_t b_stride, int64_t depth,
                   Into into) {
  Register sum[M][N] = {};
  for (int64_t k = 0; k < depth; ++k) {
    decltype(load_unit_vector(b)) right[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) right[n] = load_unit_vector(b + k * b_stride + n * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const auto left = broadcast_unit(a.data + m * a.row_stride + k * a.depth_stride);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) sum[m][n] = multiply_add(left, right[n], sum[m][n]);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      float* to = c + m * c_stride + n * kLanes;
      store(into == Into::add ? to_vec(sum[m][n]) + load(to) : to_vec(sum[m][n]), to);
    }
  }
}

template <class Unit, class Sizes>
struct Tiles;
template <class Unit, int... I>
struct Tiles<Unit, std::integer_sequence<int, I...>> {
  static constexpr decltype(&multiply_tile<1, 1, Unit>) kFunctions[] = {
      multiply_tile<I / kPanelVectors + 1, I % kPanelVectors + 1, Unit>...};
};

// c (rows x b.columns) = a b. Columns up to the next multiple of kLanes are written too.
// Rows are shared out evenly among as few tiles as they need: a tile of one row waits for its own sums.
template <class Unit>
void multiply(float* c, int64_t c_stride, int64_t rows, Left<Unit> a, const Packed<Unit>& b, Into into) {
  using Table = Tiles<Unit, std::make_integer_sequence<int, kTileRows * kPanelVectors>>;
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (int64_t column = 0; column < b.columns; column += kPanel) {
    const Unit* panel = b.data + column / kPanel * b.panel_stride;
    const int64_t left_over = (b.columns - column + kLanes - 1) / kLanes;
    const int64_t vectors = left_over < kPanelVectors ? left_over : kPanelVectors;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t begin = rows * tile / tiles, end = rows * (tile + 1) / tiles;
      const Left<Unit> part = {a.data + begin * a.row_stride, a.row_stride, a.depth_stride};
      Table::kFunctions[(end - begin - 1) * kPanelVectors + vectors - 1](c + begin * c_stride + column, c_stride, part,
                                                                         panel, b.width, b.depth, into);
    }
  }
}

// kLanes units of a row of n elements, those past its end zero.
[[gnu::always_inline]] inline Register row_units(const float*, const float* p, int64_t n) {
  return native(n >= kLanes ? load(p) : n > 0 ? load_part(p, static_cast<int>(n)) : Vec(0.0f));
}
[[gnu::always_inline]] inline Register row_units(const float*, const bf16* p, int64_t n) {
  return native(n >= kLanes ? load(p) : n > 0 ? load_part(p, static_cast<int>(n)) : Vec(0.0f));
}
// kLanes columns, n of them there, of the unit that two rows make (float: one row).
[[gnu::always_inline]] inline void store_column_units(float* to, const float* row, const float*, int64_t n) {
  store_units(row_units(to, row, n), to);
}
[[gnu::always_inline]] inline void store_column_units(float* to, const bf16* row, const bf16*, int64_t n) {
  store_units(row_units(to, row, n), to);
}
#if defined(__AVX512BF16__)
[[gnu::always_inline]] inline Register row_units(const Bf16Pair*, const bf16* p, int64_t n) {
  if (n >= 2 * kLanes) return _mm512_castsi512_ps(_mm512_loadu_si512(p));
  alignas(64) bf16 padded[2 * kLanes] = {};
  if (n > 0) __builtin_memcpy(padded, p, static_cast<size_t>(n) * sizeof(bf16));
  return _mm512_castsi512_ps(_mm512_load_si512(padded));
}
[[gnu::always_inline]] inline void store_column_units(Bf16Pair* to, const bf16* row, const bf16* next, int64_t n) {
  const auto upper_halves = [n](const bf16* p) {
    if (p == nullptr) return _mm512_setzero_si512();
    return _mm512_castps_si512(native(n >= kLanes ? load(p) : load_part(p, static_cast<int>(n))));
  };
  _mm512_storeu_si512(to, _mm512_or_si512(_mm512_srli_epi32(upper_halves(row), 16), upper_halves(next)));
}
#endif

// Units that copy_rows writes.
template <class Unit>
int64_t left_size(int64_t rows, int64_t cols) {
  return round_up(rows, kDepth<Unit>) * round_up(units<Unit>(cols), kLanes);
}

// a from the rows of x; rows are rounded up to whole units of depth with zeros, so that pairs of rows are whole.
// Rows lie round_up(units(cols), kLanes) apart.
template <class Unit, class T>
Left<Unit> copy_rows(Unit* to, const Rows<T>& x) {
  const int64_t depth = units<Unit>(x.cols), stride = round_up(depth, kLanes);
  for (int64_t i = 0; i < round_up(x.rows, kDepth<Unit>); ++i) {
    for (int64_t k = 0; k < depth; k += kLanes) {
      const int64_t n = i < x.rows ? x.cols - k * kDepth<Unit> : 0;
      store_units(row_units(to, x.data + i * x.stride + k * kDepth<Unit>, n), to + i * stride + k);
    }
  }
  return {to, stride, 1};
}

// b = x: the sum runs over the rows of x.
template <class Unit, class T>
Packed<Unit> pack_rows(Unit* to, const Rows<T>& x) {
  const Packed<Unit> b(to, units<Unit>(x.rows), x.cols);
  for (int64_t column = 0; column < x.cols; column += kPanel) {
    Unit* panel = to + column / kPanel * b.panel_stride;
    const int64_t width = x.cols - column < kPanel ? x.cols - column : kPanel;
    for (int64_t k = 0; k < b.depth; ++k) {
      const T* row = x.data + k * kDepth<Unit> * x.stride + column;
      const T* next = k * kDepth<Unit> + 1 < x.rows ? row + x.stride : nullptr;
      for (int64_t j = 0; j < width; j += kLanes) {
        store_column_units(panel + k * b.width + j, row + j, next == nullptr ? nullptr : next + j, width - j);
      }
    }
  }
  return b;
}

// (a0, b0, a1, b1, ...) of the lower and of the upper halves.
[[gnu::always_inline]] inline void interleave(Register a, Register b, Register& low, Register& high) {
#if defined(__AVX512F__)
  const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  low = _mm512_permutex2var_ps(a, first, b);
  high = _mm512_permutex2var_ps(a, _mm512_add_epi32(first, _mm512_set1_epi32(8)), b);
#else
  const __m256 even = _mm256_unpacklo_ps(a, b), odd = _mm256_unpackhi_ps(a, b);
  low = _mm256_permute2f128_ps(even, odd, 0x20);
  high = _mm256_permute2f128_ps(even, odd, 0x31);
#endif
}

// Interleaving rows i and i + kLanes / 2 moves the highest bit of the row number to the lowest bit of the column
// number and the highest of the column number to the lowest of the row number: after log2(kLanes) rounds they have
// changed places.
[[gnu::always_inline]] inline void transpose(Register (&rows)[kLanes]) {
#pragma GCC unroll 4
  for (int round = 1; round < kLanes; round *= 2) {
    Register next[kLanes];
#pragma GCC unroll 8
    for (int i = 0; i < kLanes / 2; ++i) {
      interleave(rows[i], rows[i + kLanes / 2], next[2 * i], next[2 * i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
}

// b = xᵀ: the sum runs over the columns of x.
template <class Unit, class T>
Packed<Unit> pack_transposed(Unit* to, const Rows<T>& x) {
  const Packed<Unit> b(to, units<Unit>(x.cols), x.rows);
  for (int64_t row = 0; row < x.rows; row += kLanes) {
    Unit* panel = to + row / kPanel * b.panel_stride + row % kPanel;
    for (int64_t k = 0; k < b.depth; k += kLanes) {
      Register block[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        const int64_t n = row + i < x.rows ? x.cols - k * kDepth<Unit> : 0;
        block[i] = row_units(to, x.data + (row + i) * x.stride + k * kDepth<Unit>, n);
      }
      transpose(block);
      const int64_t left_over = b.depth - k;
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        if (i < left_over) store_units(block[i], panel + (k + i) * b.width);
      }
    }
  }
  return b;
}

}  // namespace aid::AID_TARGET
