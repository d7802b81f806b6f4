// What the products of linear_amx.cpp (bf16) and linear_split_amx.cpp (f32) share: blocks of 32 x 32 sums, which stay
// in four tiles while two tiles of a and two of b pass for each step of 32 along k (of the eight tiles the arrangement
// with the fewest loads), and how a product is cut into tasks for threads.
//
// Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter 20 (tiles, blocking).
#pragma once

#include <atomic>

#include "kernels/core/stream.h"
#include "kernels/cpu/amx.h"
#include "kernels/matrix/linear_amx.h"

namespace aid::AID_TARGET {

inline constexpr int64_t kAmxDepth = 32;                     // elements of k in a tile: a step
inline constexpr int64_t kAmxTile = kAmxRows * kAmxDepth;    // elements of a tile
inline constexpr int64_t kAmxBlock = 2 * kAmxRows;           // rows and columns of a block of sums
inline constexpr int64_t kAmxPanel = kAmxDepth * kAmxBlock;  // elements of a step of b, as wide as a block
inline constexpr size_t kAmxPanelRow = 4 * 2 * kAmxWords;    // bytes of a row of it: pairs along k

constexpr int64_t blocks(int64_t n, int64_t size) { return (n + size - 1) / size; }
constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t most(int64_t a, int64_t b) { return a < b ? b : a; }

// A block of sums in memory. Its tiles are 0 to 3, as AmxShapes has them.
struct AmxSums {
  float* data;
  int64_t stride;

  [[gnu::always_inline]] void load() const {
    before_amx_loads();
    _tile_loadd(0, data, row_bytes());
    _tile_loadd(1, data + kAmxWords, row_bytes());
    _tile_loadd(2, lower(), row_bytes());
    _tile_loadd(3, lower() + kAmxWords, row_bytes());
  }
  [[gnu::always_inline]] void store() const {
    _tile_stored(0, data, row_bytes());
    _tile_stored(1, data + kAmxWords, row_bytes());
    _tile_stored(2, lower(), row_bytes());
    _tile_stored(3, lower() + kAmxWords, row_bytes());
  }

 private:
  float* lower() const { return data + kAmxRows * stride; }
  size_t row_bytes() const { return static_cast<size_t>(stride) * sizeof(float); }
};

// Tiles of a (4 and 5), and of b (6 and 7).
[[gnu::always_inline]] inline void load_amx_rows(const bf16* upper, const bf16* lower) {
  _tile_loadd(4, upper, 64);
  _tile_loadd(5, lower, 64);
}
[[gnu::always_inline]] inline void load_amx_panel(const bf16* b) {
  _tile_loadd(6, b, kAmxPanelRow);
  _tile_loadd(7, b + kAmxDepth, kAmxPanelRow);
}
[[gnu::always_inline]] inline void multiply_amx_tiles() {
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

// How c [rows, columns] is cut: into tasks of at most so many rows and columns, in whole blocks.
struct AmxCut {
  AmxCut(const Span& c, int64_t most_rows, int64_t most_columns, int threads)
      : rows(c.rows),
        row_blocks(blocks(c.rows, kAmxBlock)),
        panels(blocks(c.cols, kAmxBlock)),
        row_tasks(blocks(c.rows, most_rows)) {
    // Tasks of rows alone are as many for each thread.
    if (row_tasks > threads) row_tasks = least(blocks(row_tasks, threads) * threads, row_blocks);
    column_tasks = least(most(blocks(threads, row_tasks), blocks(c.cols, most_columns)), panels);
  }
  int64_t tasks() const { return row_tasks * column_tasks; }
  // The most that a task has.
  int64_t rows_of_task() const { return blocks(row_blocks, row_tasks) * kAmxBlock; }
  int64_t panels_of_task() const { return blocks(panels, column_tasks); }

  int64_t rows, row_blocks, panels, row_tasks, column_tasks;
};

struct AmxTask {
  AmxTask(const AmxCut& cut, int64_t number) {
    const int64_t row_task = number / cut.column_tasks, column_task = number % cut.column_tasks;
    begin = cut.row_blocks * row_task / cut.row_tasks * kAmxBlock;
    end = least(cut.row_blocks * (row_task + 1) / cut.row_tasks * kAmxBlock, cut.rows);
    first_panel = cut.panels * column_task / cut.column_tasks;
    last_panel = cut.panels * (column_task + 1) / cut.column_tasks;
  }
  int64_t row_blocks() const { return blocks(end - begin, kAmxBlock); }

  int64_t begin, end;  // rows
  int64_t first_panel, last_panel;
};

// Calls run(task, worker) for every task, on `workers` threads.
template <class F>
void for_each_amx_task(Stream& s, const AmxCut& cut, int64_t workers, F&& run) {
  std::atomic<int64_t> next{0};
  s.team().tasks(workers, [&](int64_t worker) {
    const AmxScope scope;
    set_amx_shapes({});
    for (int64_t task = next.fetch_add(1); task < cut.tasks(); task = next.fetch_add(1)) {
      run(AmxTask(cut, task), worker);
    }
  });
}

// linear_split_amx.cpp's part of multiply().
void multiply_split(Stream& s, const gemm::AmxProduct& p);

}  // namespace aid::AID_TARGET
