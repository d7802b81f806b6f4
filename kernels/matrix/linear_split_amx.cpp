// With six products for seven pairs of loaded tiles, the multiplier is what limits products of f32 (linear_amx.h), so
// that as much else as can is done while it works:
//   - a task's rows of a are split into tiles, some steps at a time, which then stay in the core's L2 cache;
//   - b is split a panel at a time, as wide as a block, by the loop that multiplies by the panel before;
//   - sums are in c from the first: what a block's tiles store goes to memory while the next is multiplied, whose sums
//     come from memory meanwhile.
#include <utility>

#include "kernels/cpu/bf16_parts.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/tile_product.h"
#include "kernels/matrix/linear_amx.h"
#include "kernels/matrix/linear_amx_tasks.h"
#include "kernels/matrix/linear_pack.h"

namespace aid::AID_TARGET {

using gemm::AmxProduct;
using gemm::Order;

namespace {

constexpr int64_t kChunk = 512 / kAmxDepth;  // steps of a and of a panel that are split at a time, at most
constexpr int64_t kRows = 256;               // of a task
constexpr int64_t kPacked = 16;              // that linear_pack.h rounds k up to, of f32
constexpr int64_t kParts = 3, kHigh = 0, kMid = 1, kLow = 2;
constexpr int64_t kTiles = kParts * kAmxTile;    // a step of 16 rows of a: its high parts, then mid, then low
constexpr int64_t kPanels = kParts * kAmxPanel;  // a step of a panel, likewise

// So many pairs of rows of a panel of f32, split into steps as above.
struct SplitPanel {
  const float* from;
  bf16* to;
  int64_t pairs;  // that are left
  int64_t pairs_per_call;
  int64_t row = 0;  // of the tile

  [[gnu::always_inline]] void split_some() {
    for (int64_t i = least(pairs, pairs_per_call); i > 0; --i) split_pair();
  }

 private:
  [[gnu::always_inline]] void split_pair() {
    for (const int64_t column : {0, kAmxWords}) {
      const Bf16Parts even = split_bf16(_mm512_loadu_ps(from + column));
      const Bf16Parts odd = split_bf16(_mm512_loadu_ps(from + kAmxBlock + column));
      _mm512_store_si512(to + kHigh * kAmxPanel + 2 * column, pair_bf16(even.high, odd.high));
      _mm512_store_si512(to + kMid * kAmxPanel + 2 * column, pair_bf16(even.mid, odd.mid));
      _mm512_store_si512(to + kLow * kAmxPanel + 2 * column, pair_bf16(even.low, odd.low));
    }
    --pairs;
    from += 2 * kAmxBlock;
    to += 2 * kAmxBlock;
    if (++row < kAmxRows) return;
    row = 0;
    to += kPanels - kAmxPanel;
  }
};

// sums += a b over some steps; they begin with `row` in every row, or with themselves where that is null. a: the steps
// of the upper 16 rows, one after the other; those of the lower 16 lie `lower_rows` further. Besides, some of another
// panel is split, twice in a step, and the sums at `next` are asked for.
[[gnu::always_inline]] inline void multiply_block(const AmxSums& sums, const float* row, const bf16* a,
                                                  int64_t lower_rows, const bf16* b, int64_t steps, SplitPanel& ahead,
                                                  AmxSums next) {
  if (row == nullptr) {
    sums.load();
  } else {
    before_amx_loads();
    _tile_loadd(0, row, 0);
    _tile_loadd(1, row + kAmxWords, 0);
    _tile_loadd(2, row, 0);
    _tile_loadd(3, row + kAmxWords, 0);
  }
  const auto load_a = [&](int64_t part) __attribute__((always_inline)) {
    load_amx_rows(a + part * kAmxTile, a + part * kAmxTile + lower_rows);
  };
  const auto load_b = [&](int64_t part) __attribute__((always_inline)) { load_amx_panel(b + part * kAmxPanel); };
  const int64_t rows_per_step = blocks(kAmxBlock, steps);
  for (int64_t k = 0; k < steps; ++k, a += kTiles, b += kPanels) {
    // The smallest products first; each shares one side with the one before, but for the last.
    load_b(kLow);
    load_a(kHigh);
    multiply_amx_tiles();
    load_b(kMid);
    multiply_amx_tiles();
    for (int64_t i = 0; i < rows_per_step; ++i, next.data += next.stride) {
      _mm_prefetch(next.data, _MM_HINT_T0);
      _mm_prefetch(next.data + kAmxWords, _MM_HINT_T0);
    }
    ahead.split_some();
    load_a(kMid);
    multiply_amx_tiles();
    load_b(kHigh);
    multiply_amx_tiles();
    ahead.split_some();
    load_a(kLow);
    multiply_amx_tiles();
    load_a(kHigh);
    multiply_amx_tiles();
  }
  sums.store();
}

struct Square {
  __m512 rows[kAmxWords];
};

// 16 x 16 elements from (row, column) on, of a matrix that has so many rows and columns: beyond them is zero.
template <class RowAt>
[[gnu::always_inline]] inline Square load_square(RowAt row_at, int64_t row, int64_t rows, int64_t column,
                                                 int64_t columns) {
  const int64_t n = most(least(columns - column, kAmxWords), 0);
  const auto there = static_cast<__mmask16>((1u << n) - 1);
  Square square;
#pragma GCC unroll 16
  for (int64_t i = 0; i < kAmxWords; ++i) {
    square.rows[i] = row + i < rows ? _mm512_maskz_loadu_ps(there, row_at(row + i) + column) : _mm512_setzero_ps();
  }
  return square;
}

template <class RowAt>
[[gnu::always_inline]] inline void prefetch_square(RowAt row_at, int64_t row, int64_t column) {
  for (int64_t i = 0; i < kAmxWords; ++i) _mm_prefetch(row_at(row + i) + column, _MM_HINT_T0);
}

[[gnu::always_inline]] inline void store_tile_row(bf16* to, __m512 left, __m512 right) {
  const Bf16Parts a = split_bf16(left), b = split_bf16(right);
  _mm512_store_si512(to + kHigh * kAmxTile, append_bf16(a.high, b.high));
  _mm512_store_si512(to + kMid * kAmxTile, append_bf16(a.mid, b.mid));
  _mm512_store_si512(to + kLow * kAmxTile, append_bf16(a.low, b.low));
}

// The task's rows of a, steps [first, first + steps): 16 rows' steps one after the other. What is missing to whole
// blocks is zero.
void split_rows(bf16* to, const AmxProduct& p, const AmxTask& task, int64_t depth, int64_t first, int64_t steps) {
  const auto row_at = [&](int64_t row) __attribute__((always_inline)) { return row_of<float>(p.a, row); };
  const auto tiles_at = [&](int64_t group, int64_t step) { return to + (group * steps + step) * kTiles; };
  const auto store = [](bf16 * tiles, const Square& left, const Square& right) __attribute__((always_inline)) {
    for (int64_t i = 0; i < kAmxRows; ++i) store_tile_row(tiles + i * kAmxDepth, left.rows[i], right.rows[i]);
  };
  // Both orders go along the rows as they lie in memory.
  const int64_t groups = task.row_blocks() * kAmxBlock / kAmxRows;
  if (p.a_order == Order::transposed) {
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t k = (first + step) * kAmxDepth;
      for (int64_t group = 0; group < groups; ++group) {
        const int64_t row = task.begin + group * kAmxRows;
        Square left = load_square(row_at, k, depth, row, task.end);
        Square right = load_square(row_at, k + kAmxWords, depth, row, task.end);
        transpose(left.rows);
        transpose(right.rows);
        store(tiles_at(group, step), left, right);
      }
    }
    return;
  }
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t row = task.begin + group * kAmxRows;
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t k = (first + step) * kAmxDepth;
      store(tiles_at(group, step), load_square(row_at, row, task.end, k, depth),
            load_square(row_at, row, task.end, k + kAmxWords, depth));
      prefetch_square(row_at, row + kAmxRows, k);
      prefetch_square(row_at, row + kAmxRows, k + kAmxWords);
    }
  }
}

// What a panel's last step has from row `rows` on, which is below b's last row.
void clear_from(bf16* panel, int64_t rows, int64_t steps) {
  for (int64_t part = 0; part < kParts; ++part) {
    bf16* const step = panel + (steps - 1) * kPanels + part * kAmxPanel;
    for (int64_t i = (rows - (steps - 1) * kAmxDepth) * kAmxBlock; i < kAmxPanel; ++i) step[i] = bf16{};
  }
}

// So many rows and columns, at most a block's.
void copy_sums(const AmxSums& to, const AmxSums& from, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row) {
    __builtin_memcpy(to.data + row * to.stride, from.data + row * from.stride,
                     static_cast<size_t>(columns) * sizeof(float));
  }
}

// `panels`: room for two of `chunk` steps.
[[gnu::flatten]] void run_task(const AmxProduct& p, const AmxTask& task, int64_t k, int64_t chunk, bf16* tiles,
                               bf16* panels) {
  const int64_t depth = blocks(k, kPacked) * kPacked, all_steps = blocks(k, kAmxDepth), row_blocks = task.row_blocks();
  for (int64_t first = 0; first < all_steps; first += chunk) {
    const int64_t steps = least(chunk, all_steps - first);
    const int64_t rows = least(steps * kAmxDepth, depth - first * kAmxDepth);
    const auto split = [&](int64_t panel, bf16* to, int64_t calls) {
      const float* from = static_cast<const float*>(p.b.data) + (panel * depth + first * kAmxDepth) * kAmxBlock;
      return SplitPanel{from, to, panel < task.last_panel ? rows / 2 : 0, blocks(rows / 2, calls)};
    };
    bf16 *now = panels, *next = panels + chunk * kPanels;
    clear_from(now, rows, steps);
    clear_from(next, rows, steps);
    split_rows(tiles, p, task, k, first, steps);
    split(task.first_panel, now, 1).split_some();
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel, std::swap(now, next)) {
      const int64_t column = panel * kAmxBlock, columns = least(p.c.cols - column, kAmxBlock);
      alignas(64) float bias[kAmxBlock] = {};
      if (!p.bias.empty()) {
        __builtin_memcpy(bias, row_of<float>(p.bias, 0) + column, static_cast<size_t>(columns) * sizeof(float));
      }
      const float* const start = first == 0 && p.into == AmxProduct::Into::replace ? bias : nullptr;
      SplitPanel ahead = split(panel + 1, next, row_blocks * 2 * steps);
      for (int64_t block = 0; block < row_blocks; ++block) {
        const int64_t row = task.begin + block * kAmxBlock, block_rows = least(task.end - row, kAmxBlock);
        const AmxSums c = {row_of<float>(p.c, row) + column, p.c.stride};
        const bool whole = block_rows == kAmxBlock && columns == kAmxBlock;
        alignas(64) float edge_memory[kAmxBlock * kAmxBlock];
        const AmxSums edge = {edge_memory, kAmxBlock};
        if (!whole && start == nullptr) copy_sums(edge, c, block_rows, columns);
        // The block below, or the uppermost of the next panel.
        float* const next_c = block + 1 < row_blocks ? c.data + kAmxBlock * c.stride
                                                     : row_of<float>(p.c, task.begin) + column + kAmxBlock;
        multiply_block(whole ? c : edge, start, tiles + 2 * block * steps * kTiles, steps * kTiles, now, steps, ahead,
                       {next_c, c.stride});
        if (!whole) copy_sums(c, edge, block_rows, columns);
      }
    }
  }
}

}  // namespace

void multiply_split(Stream& s, const AmxProduct& p) {
  const int64_t k = p.a_order == Order::transposed ? p.a.rows : p.a.cols;
  const int64_t steps = blocks(k, kAmxDepth), chunk = blocks(steps, blocks(steps, kChunk));
  const AmxCut cut(p.c, kRows, p.c.cols, s.threads());
  const int64_t workers = least(s.threads(), cut.tasks());
  const Scratch scratch(s);
  const Span tiles = s.arena().take(DType::bf16, workers, cut.rows_of_task() / kAmxRows * chunk * kTiles);
  const Span panels = s.arena().take(DType::bf16, workers, 2 * chunk * kPanels);
  for_each_amx_task(s, cut, workers, [&](const AmxTask& task, int64_t worker) {
    run_task(p, task, k, chunk, row_of<bf16>(tiles, worker), row_of<bf16>(panels, worker));
  });
}

}  // namespace aid::AID_TARGET
