// tile_product.h's product of bf16 on AMX: the same operands, and sums in the same order, k ascending.
#pragma once

#include "kernels/cpu/amx.h"
#include "kernels/cpu/tile_product.h"

namespace aid::AID_TARGET {

// Where a's tiles are read: rows whose units neighbour along k.
struct AmxLeft {
  const Bf16Pair* data;
  int64_t row_stride;   // units
  int64_t step_stride;  // units from 16 units of k to the next
};

// 2 x 2 tiles of c, or fewer, over `steps` times the depth that the tiles' shapes have.
template <bool Lower, bool Right>
[[gnu::always_inline]] inline void multiply_amx_block(float* c, int64_t c_stride, const AmxLeft& a, const Bf16Pair* b,
                                                      int64_t b_stride, int64_t steps, Into into) {
  const auto c_bytes = static_cast<size_t>(c_stride) * sizeof(float);
  const auto a_bytes = static_cast<size_t>(a.row_stride) * sizeof(Bf16Pair);
  const auto b_bytes = static_cast<size_t>(b_stride) * sizeof(Bf16Pair);
  float* const lower = c + kAmxRows * c_stride;
  const Bf16Pair* a_lower = a.data + kAmxRows * a.row_stride;
  before_amx_loads();
  if (into == Into::add) {
    _tile_loadd(0, c, c_bytes);
    if constexpr (Right) _tile_loadd(1, c + kAmxWords, c_bytes);
    if constexpr (Lower) _tile_loadd(2, lower, c_bytes);
    if constexpr (Lower && Right) _tile_loadd(3, lower + kAmxWords, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t step = 0; step < steps; ++step) {
    const Bf16Pair* right_b = b + step * kAmxWords * b_stride;
    _tile_loadd(6, right_b, b_bytes);
    if constexpr (Right) _tile_loadd(7, right_b + kAmxWords, b_bytes);
    _tile_loadd(4, a.data + step * a.step_stride, a_bytes);
    if constexpr (Lower) _tile_loadd(5, a_lower + step * a.step_stride, a_bytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (Right) _tile_dpbf16ps(1, 4, 7);
    if constexpr (Lower) _tile_dpbf16ps(2, 5, 6);
    if constexpr (Lower && Right) _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_bytes);
  if constexpr (Right) _tile_stored(1, c + kAmxWords, c_bytes);
  if constexpr (Lower) _tile_stored(2, lower, c_bytes);
  if constexpr (Lower && Right) _tile_stored(3, lower + kAmxWords, c_bytes);
}

// One step's units of 32 rows of an `a` that lies column by column, as tiles: a[m][k] = from[k * depth_stride + m].
inline void turn_amx_rows(Bf16Pair* to, const Left<Bf16Pair>& from, int64_t rows, int64_t depth) {
  for (int64_t first = 0; first < rows; first += kAmxRows, to += kAmxRows * kAmxWords) {
    Register lines[kLanes];
#pragma GCC unroll 16
    for (int k = 0; k < kLanes; ++k) {
      lines[k] = k < depth ? _mm512_loadu_ps(from.data + k * from.depth_stride + first) : _mm512_setzero_ps();
    }
    transpose(lines);
#pragma GCC unroll 16
    for (int m = 0; m < kLanes; ++m) store_units(lines[m], to + m * kAmxWords);
  }
}

// As the template that it stands beside. Not a multiple of a tile: rows, and k, are cut into their own shapes; columns
// up to the next multiple of 16 are written. Of an `a` that lies column by column, 16 units behind the last row are
// read.
inline void multiply(float* c, int64_t c_stride, int64_t rows, Left<Bf16Pair> a, const Packed<Bf16Pair>& b, Into into) {
  constexpr int64_t kRowsOfBlock = 2 * kAmxRows, kColumnsOfBlock = 2 * kAmxWords;
  const bool by_column = a.depth_stride != 1;
  for (int64_t k = 0; k < b.depth;) {
    const int64_t whole = (b.depth - k) / kAmxWords;
    const int64_t depth = whole > 0 ? kAmxWords : b.depth - k, steps = whole > 0 && !by_column ? whole : 1;
    for (int64_t row = 0; row < rows; row += kRowsOfBlock) {
      const int64_t left_over = rows - row < kRowsOfBlock ? rows - row : kRowsOfBlock;
      const bool lower = left_over > kAmxRows;
      set_amx_shapes({.upper = static_cast<uint8_t>(lower ? kAmxRows : left_over),
                      .lower = static_cast<uint8_t>(lower ? left_over - kAmxRows : kAmxRows),
                      .depth = static_cast<uint8_t>(depth)});
      alignas(64) Bf16Pair turned[kRowsOfBlock * kAmxWords];
      AmxLeft left = {a.data + row * a.row_stride + k * a.depth_stride, a.row_stride, kAmxWords};
      if (by_column) {
        turn_amx_rows(turned, {left.data, a.row_stride, a.depth_stride}, left_over, depth);
        left = {turned, kAmxWords, 0};
      }
      for (int64_t column = 0; column < b.columns; column += kColumnsOfBlock) {
        const bool right = b.columns - column > kAmxWords;
        const Bf16Pair* panel = b.data + column / kPanel * b.panel_stride + column % kPanel + k * b.width;
        const auto block = lower   ? right ? &multiply_amx_block<true, true> : &multiply_amx_block<true, false>
                             : right ? &multiply_amx_block<false, true>
                                   : &multiply_amx_block<false, false>;
        block(c + row * c_stride + column, c_stride, left, panel, b.width, steps, k == 0 ? into : Into::add);
      }
    }
    k += steps * depth;
  }
}

}  // namespace aid::AID_TARGET
