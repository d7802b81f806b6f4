// AMX's tiles: eight registers of up to 16 rows of 64 bytes, whose shapes a thread sets for all of them at once. Only
// sources that are compiled for cpu_amx may include it.
// Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter 20.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace aid::AID_TARGET {

inline constexpr int kAmxRows = 16;
inline constexpr int kAmxWords = 16;  // of 32 bits in a row: floats, or pairs of bf16

// Shapes for a product of up to 32 x 32 sums, c += a b, over at most 16 pairs of k:
//   tiles 0, 1, 2, 3   c: upper left, upper right, lower left, lower right
//   tiles 4, 5         a: upper, lower rows
//   tiles 6, 7         b: left, right columns
struct AmxShapes {
  uint8_t upper = kAmxRows, lower = kAmxRows;  // rows
  uint8_t depth = kAmxWords;                   // pairs of k
  bool operator==(const AmxShapes&) const = default;
};

// A thread's use of the tiles, from its first set_amx_shapes() on: a thread that has released them is cheaper to switch
// and leaves the core its full clock.
inline constexpr AmxShapes kNoAmxShapes = {0, 0, 0};
inline constinit thread_local AmxShapes amx_shapes = kNoAmxShapes;
class AmxScope {
 public:
  AmxScope() = default;
  ~AmxScope() {
    _tile_release();
    amx_shapes = kNoAmxShapes;
  }
  AmxScope(const AmxScope&) = delete;
  AmxScope& operator=(const AmxScope&) = delete;
};

// What was written before is in memory: the intrinsics of g++ 12 do not tell the compiler that loads of tiles and of
// shapes read it.
[[gnu::always_inline]] inline void before_amx_loads() { asm volatile("" : : : "memory"); }

// Clears the tiles, unless they have these shapes already.
inline void set_amx_shapes(AmxShapes shapes) {
  if (shapes == amx_shapes) return;
  amx_shapes = shapes;
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  } configuration;
  const auto set = [&](int tile, uint8_t rows, int words) {
    configuration.rows[tile] = rows;
    configuration.row_bytes[tile] = static_cast<uint16_t>(4 * words);
  };
  for (const int right : {0, 1}) {
    set(right, shapes.upper, kAmxWords);
    set(2 + right, shapes.lower, kAmxWords);
    set(6 + right, shapes.depth, kAmxWords);
  }
  set(4, shapes.upper, shapes.depth);
  set(5, shapes.lower, shapes.depth);
  asm volatile("" : : "r"(&configuration) : "memory");  // as before_amx_loads(), of a local variable
  _tile_loadconfig(&configuration);
}

}  // namespace aid::AID_TARGET
