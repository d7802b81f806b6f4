// A block of 32 x 32 sums stays in four tiles while two tiles of a and two of b pass for each step of 32 along k: of
// the eight tiles the arrangement with the fewest loads.
//
// bf16: loads are what limits it, so that
//   - a is copied into whole tiles first, a task's rows at a time, which then stay in the core's L2 cache;
//   - b's panels are as wide as a block, and a piece of a panel (kPiece along k) stays in the L1 cache while all of the
//     task's rows pass over it; the next panel's is fetched from memory meanwhile.
// Sums that are not complete after a piece wait in scratch memory as f32, which changes no bit.
//
// f32: with six products for seven pairs of tiles the multiplier itself is what limits it, so that all else is done
// while it works:
//   - a task's rows of a are split into tiles that stay in the L2 cache;
//   - a panel of b is split into tiles, too, by the loop that multiplies by the panel before;
//   - sums are in c from the beginning: what a tile stores goes to memory while the next block is multiplied.
// Sources: Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter 20 (tiles, blocking).
#include "kernels/matrix/linear_amx.h"

#include <atomic>
#include <utility>

#include "kernels/cpu/amx.h"
#include "kernels/cpu/bf16_parts.h"
#include "kernels/cpu/simd.h"
#include "kernels/matrix/linear_pack.h"

namespace aid::AID_TARGET {

using gemm::AmxProduct;

namespace {

constexpr int64_t kDepth = 32;                    // elements of k in a tile
constexpr int64_t kTileSize = kAmxRows * kDepth;  // elements of a tile
constexpr int64_t kBlock = 2 * kAmxRows;          // rows and columns of a block of sums
constexpr int64_t kPanel = gemm::columns_of(gemm::Panel::columns_32);
static_assert(kPanel == kBlock);
constexpr int64_t kPanelStep = kDepth * kPanel;  // elements of a step of a panel
constexpr size_t kPanelRow = 2 * kPanel * sizeof(bf16);

// bf16 that stand for one element.
template <class T>
constexpr int64_t kParts = std::is_same_v<T, float> ? 3 : 1;
// Steps that a task's copy of a holds at most. f32: and that a panel is split for.
template <class T>
constexpr int64_t kChunk = (std::is_same_v<T, float> ? 768 : 1024) / kDepth;
// Rows of a task; bf16: half where sums wait for another chunk, and so many columns.
template <class T>
constexpr int64_t kRows = std::is_same_v<T, float> ? 256 : 512;
constexpr int64_t kColumns = 1024;
constexpr int64_t kPiece = 256 / kDepth;  // bf16: steps, 16 KB of b

constexpr int64_t blocks(int64_t n, int64_t size) { return (n + size - 1) / size; }
constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t most(int64_t a, int64_t b) { return a < b ? b : a; }

// What the loop over steps does besides, a bit in each of them.
// Memory that is asked for.
struct Prefetch {
  const char *next, *end;
  int64_t lines_per_step;

  [[gnu::always_inline]] void step() {
    for (int64_t i = 0; i < lines_per_step && next < end; ++i, next += 64) _mm_prefetch(next, _MM_HINT_T1);
  }
};

// Steps of a panel of f32 that are split, into panels of bf16 whose steps have all high parts, then mid, then low.
struct SplitPanel {
  const float* from;
  bf16* to;
  int64_t pairs;  // of rows that are left
  int64_t pairs_per_step;
  int64_t row = 0;  // of the tile

  [[gnu::always_inline]] void step() {
    for (int64_t i = least(pairs, pairs_per_step); i > 0; --i) pair();
  }

 private:
  [[gnu::always_inline]] void pair() {
    for (const int64_t column : {0, kAmxWords}) {
      const Bf16Parts a = split_bf16(_mm512_loadu_ps(from + column));
      const Bf16Parts b = split_bf16(_mm512_loadu_ps(from + kPanel + column));
      _mm512_store_si512(to + 2 * column, pair_bf16(a.high, b.high));
      _mm512_store_si512(to + 2 * column + kPanelStep, pair_bf16(a.mid, b.mid));
      _mm512_store_si512(to + 2 * column + 2 * kPanelStep, pair_bf16(a.low, b.low));
    }
    --pairs;
    from += 2 * kPanel;
    to += 2 * kPanel;
    if (++row < kAmxRows) return;
    row = 0;
    to += (kParts<float> - 1) * kPanelStep;
  }
};

[[gnu::always_inline]] inline void multiply_tiles() {
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

// A block of sums in memory, and what they begin with: nothing, a row that all of them get, or themselves.
struct Sums {
  float* data;
  int64_t stride;
  const float* row;  // or null
  bool begin;
};

// sums += a b over some steps. a: tiles of the upper 16 rows, one after the other, a step's parts side by side; those
// of the lower 16 lie `lower_rows` further.
template <class T, class Besides>
[[gnu::always_inline]] inline void multiply_block(const Sums& sums, const bf16* a, int64_t lower_rows, const bf16* b,
                                                  int64_t steps, Besides& besides) {
  const auto row_bytes = static_cast<size_t>(sums.stride) * sizeof(float);
  float* const upper = sums.data;
  float* const lower = upper + kAmxRows * sums.stride;
  before_amx_loads();
  if (!sums.begin) {
    _tile_loadd(0, upper, row_bytes);
    _tile_loadd(1, upper + kAmxWords, row_bytes);
    _tile_loadd(2, lower, row_bytes);
    _tile_loadd(3, lower + kAmxWords, row_bytes);
  } else if (sums.row != nullptr) {
    _tile_loadd(0, sums.row, 0);
    _tile_loadd(1, sums.row + kAmxWords, 0);
    _tile_loadd(2, sums.row, 0);
    _tile_loadd(3, sums.row + kAmxWords, 0);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const auto load_a = [&](int64_t part) __attribute__((always_inline)) {
    _tile_loadd(4, a + part * kTileSize, 64);
    _tile_loadd(5, a + lower_rows + part * kTileSize, 64);
  };
  const auto load_b = [&](int64_t part) __attribute__((always_inline)) {
    _tile_loadd(6, b + part * kPanelStep, kPanelRow);
    _tile_loadd(7, b + part * kPanelStep + kDepth, kPanelRow);
  };
  for (int64_t k = 0; k < steps; ++k) {
    if constexpr (kParts<T> == 1) {
      load_b(0);
      load_a(0);
      multiply_tiles();
    } else {
      // The small products first, so that one loads anew after each of them.
      constexpr int64_t kHigh = 0, kMid = 1, kLow = 2;
      load_b(kLow);
      load_a(kHigh);
      multiply_tiles();
      load_b(kMid);
      multiply_tiles();
      load_a(kMid);
      multiply_tiles();
      load_b(kHigh);
      multiply_tiles();
      load_a(kLow);
      multiply_tiles();
      load_a(kHigh);
      multiply_tiles();
    }
    besides.step();
    a += kParts<T> * kTileSize;
    b += kParts<T> * kPanelStep;
  }
  _tile_stored(0, upper, row_bytes);
  _tile_stored(1, upper + kAmxWords, row_bytes);
  _tile_stored(2, lower, row_bytes);
  _tile_stored(3, lower + kAmxWords, row_bytes);
}

// How a product is cut into tasks.
template <class T>
struct Cut {
  Cut(const AmxProduct& p, int threads)
      : steps(blocks(p.a.cols, kDepth)),
        chunk(blocks(steps, blocks(steps, kChunk<T>))),
        panels(blocks(p.c.cols, kPanel)),
        row_blocks(blocks(p.c.rows, kBlock)),
        row_tasks(blocks(p.c.rows, sums_wait() ? kRows<T> / 2 : kRows<T>)) {
    // Tasks of rows alone are as many for each thread.
    if (row_tasks > threads) row_tasks = least(blocks(row_tasks, threads) * threads, row_blocks);
    column_tasks = blocks(threads, row_tasks);
    if (sums_wait()) column_tasks = most(column_tasks, blocks(p.c.cols, kColumns));
    column_tasks = least(column_tasks, panels);
  }
  bool sums_wait() const { return std::is_same_v<T, bf16> && chunk < steps; }
  int64_t tasks() const { return row_tasks * column_tasks; }
  int64_t most_rows() const { return blocks(row_blocks, row_tasks) * kBlock; }
  // Of the sums in scratch memory, floats from one row to the next.
  int64_t sums_stride() const { return (sums_wait() ? blocks(panels, column_tasks) : 1) * kPanel; }

  int64_t steps, chunk, panels, row_blocks, row_tasks, column_tasks;
};

struct Task {
  template <class T>
  Task(const AmxProduct& p, const Cut<T>& cut, int64_t number) {
    const int64_t part = number / cut.column_tasks, column_part = number % cut.column_tasks;
    begin = cut.row_blocks * part / cut.row_tasks * kBlock;
    end = least(cut.row_blocks * (part + 1) / cut.row_tasks * kBlock, p.c.rows);
    first_panel = cut.panels * column_part / cut.column_tasks;
    last_panel = cut.panels * (column_part + 1) / cut.column_tasks;
  }
  int64_t row_blocks() const { return blocks(end - begin, kBlock); }

  int64_t begin, end;  // rows
  int64_t first_panel, last_panel;
};

// The task's rows of a, steps [first, first + steps), as tiles: 16 rows' steps one after the other. What is missing to
// whole blocks is zero.
void copy_tiles(bf16* to, const CSpan& a, const Task& task, int64_t first, int64_t steps) {
  const int64_t whole = least(a.cols / kDepth - first, steps);
  for (int64_t i = 0; i < task.row_blocks() * kBlock; ++i) {
    const int64_t row = task.begin + i;
    bf16* tile_row = to + i / kAmxRows * steps * kTileSize + i % kAmxRows * kDepth;
    const bf16* from = row_of<bf16>(a, row) + first * kDepth;
    for (int64_t k = 0; k < steps; ++k, tile_row += kTileSize) {
      if (row < task.end && k < whole) {
        _mm512_store_si512(tile_row, _mm512_loadu_si512(from + k * kDepth));
        continue;
      }
      _mm512_store_si512(tile_row, _mm512_setzero_si512());
      if (row < task.end) {
        __builtin_memcpy(tile_row, from + k * kDepth, static_cast<size_t>(a.cols % kDepth) * sizeof(bf16));
      }
    }
  }
}

// The same of f32: a step has a tile of each part, and rows that are missing repeat the last one.
void split_tiles(bf16* to, const CSpan& a, const Task& task, int64_t first, int64_t steps) {
  const auto load_16 = [&](const float* row, int64_t k) __attribute__((always_inline)) {
    const int64_t n = most(least(a.cols - k, kAmxWords), 0);
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), row + k);
  };
  for (int64_t i = 0; i < task.row_blocks() * kBlock; ++i) {
    bf16* tile_row = to + i / kAmxRows * steps * kParts<float> * kTileSize + i % kAmxRows * kDepth;
    const float* from = row_of<float>(a, least(task.begin + i, task.end - 1));
    for (int64_t k = first * kDepth; k < (first + steps) * kDepth; k += kDepth, tile_row += kParts<float> * kTileSize) {
      const Bf16Parts left = split_bf16(load_16(from, k)), right = split_bf16(load_16(from, k + kAmxWords));
      _mm512_store_si512(tile_row, append_bf16(left.high, right.high));
      _mm512_store_si512(tile_row + kTileSize, append_bf16(left.mid, right.mid));
      _mm512_store_si512(tile_row + 2 * kTileSize, append_bf16(left.low, right.low));
    }
  }
}

// The task's rows of kPanel columns of c from `column` on.
template <class T>
void write(const AmxProduct& p, const float* sums, int64_t stride, const Task& task, int64_t column) {
  const int64_t columns = least(p.c.cols - column, kPanel);
  const float* const bias = p.bias.empty() ? nullptr : row_of<float>(p.bias, 0) + column;
  for (int64_t row = task.begin; row < task.end; ++row, sums += stride) {
    T* c = row_of<T>(p.c, row) + column;
    for_vectors(
        columns, [&](int64_t j, auto n) __attribute__((always_inline)) {
          Vec y = load(sums + j);
          if (bias != nullptr) y += load_n(bias + j, n);
          if (p.into == AmxProduct::Into::add) y += load_n(c + j, n);
          store_n(y, c + j, n);
        });
  }
}

[[gnu::flatten]] void run_task(const AmxProduct& p, const Cut<bf16>& cut, const Task& task, bf16* tiles, float* sums) {
  const int64_t row_blocks = task.row_blocks(), stride = cut.sums_stride(), panel_size = cut.steps * kPanelStep;
  const bf16* const b = static_cast<const bf16*>(p.b.data);
  for (int64_t chunk = 0; chunk < cut.steps; chunk += cut.chunk) {
    const int64_t chunk_steps = least(cut.chunk, cut.steps - chunk);
    copy_tiles(tiles, p.a, task, chunk, chunk_steps);
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      float* const panel_sums = sums + (cut.sums_wait() ? (panel - task.first_panel) * kPanel : 0);
      for (int64_t k = 0; k < chunk_steps; k += kPiece) {
        const int64_t steps = least(kPiece, chunk_steps - k);
        const bf16* const piece = b + panel * panel_size + (chunk + k) * kPanelStep;
        const auto* next = reinterpret_cast<const char*>(piece + panel_size);
        const int64_t lines = panel + 1 < task.last_panel ? steps * kPanelStep * int64_t{sizeof(bf16)} / 64 : 0;
        Prefetch prefetch = {next, next + lines * 64, least(blocks(2 * lines, row_blocks * steps), 8)};
        for (int64_t block = 0; block < row_blocks; ++block) {
          multiply_block<bf16>({panel_sums + block * kBlock * stride, stride, nullptr, chunk + k == 0},
                               tiles + (2 * block * chunk_steps + k) * kTileSize, chunk_steps * kTileSize, piece, steps,
                               prefetch);
        }
      }
      if (chunk + chunk_steps < cut.steps) continue;
      with_float_type(p.c.dtype, [&]<class T>(T) { write<T>(p, panel_sums, stride, task, panel * kPanel); });
    }
  }
}

// So many rows and columns, at most a block, from one place to another.
void copy_sums(float* to, int64_t to_stride, const float* from, int64_t from_stride, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, to += to_stride, from += from_stride) {
    __builtin_memcpy(to, from, static_cast<size_t>(columns) * sizeof(float));
  }
}

// `panels`: room for two panels of a chunk.
[[gnu::flatten]] void run_task(const AmxProduct& p, const Cut<float>& cut, const Task& task, bf16* tiles,
                               bf16* panels) {
  constexpr int64_t kPacked = 16;  // that linear_pack.h rounds k up to
  const int64_t depth = blocks(p.a.cols, kPacked) * kPacked, row_blocks = task.row_blocks();
  constexpr int64_t kTileStep = kParts<float> * kTileSize;
  for (int64_t chunk = 0; chunk < cut.steps; chunk += cut.chunk) {
    const int64_t steps = least(cut.chunk, cut.steps - chunk), rows = least(steps * kDepth, depth - chunk * kDepth);
    bf16 *now = panels, *next = panels + cut.chunk * kParts<float> * kPanelStep;
    for (bf16* panel : {now, next}) {
      // What the last step is to have below the panel's last row.
      bf16* last_step = panel + (steps - 1) * kParts<float> * kPanelStep;
      const int64_t there = (rows - (steps - 1) * kDepth) * kPanel;
      for (int64_t part = 0; part < kParts<float>; ++part, last_step += kPanelStep) {
        for (int64_t i = there; i < kPanelStep; ++i) last_step[i] = bf16{};
      }
    }
    const auto split = [&](int64_t panel, bf16* to, int64_t in_steps) {
      const float* from = static_cast<const float*>(p.b.data) + (panel * depth + chunk * kDepth) * kPanel;
      return SplitPanel{from, to, panel < task.last_panel ? rows / 2 : 0, blocks(rows / 2, in_steps)};
    };
    split_tiles(tiles, p.a, task, chunk, steps);
    split(task.first_panel, now, 1).step();
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel, std::swap(now, next)) {
      const int64_t column = panel * kPanel, columns = least(p.c.cols - column, kPanel);
      alignas(64) float bias[kPanel] = {};
      if (!p.bias.empty()) copy_sums(bias, 0, row_of<float>(p.bias, 0) + column, 0, 1, columns);
      const bool begin = chunk == 0 && p.into == AmxProduct::Into::replace;
      SplitPanel ahead = split(panel + 1, next, row_blocks * steps);
      for (int64_t block = 0; block < row_blocks; ++block) {
        const int64_t row = task.begin + block * kBlock, block_rows = least(task.end - row, kBlock);
        float* const c = row_of<float>(p.c, row) + column;
        const bool whole = block_rows == kBlock && columns == kPanel;
        alignas(64) float edge[kBlock * kPanel];
        if (!whole && !begin) copy_sums(edge, kPanel, c, p.c.stride, block_rows, columns);
        multiply_block<float>(whole ? Sums{c, p.c.stride, bias, begin} : Sums{edge, kPanel, bias, begin},
                              tiles + 2 * block * steps * kTileStep, steps * kTileStep, now, steps, ahead);
        if (!whole) copy_sums(c, p.c.stride, edge, kPanel, block_rows, columns);
      }
    }
  }
}

// A thread's second scratch memory: the sums of bf16; the panels of f32.
template <class T>
Span take_second(Stream& s, const Cut<T>& cut, int64_t workers) {
  if constexpr (std::is_same_v<T, bf16>)
    return s.arena().take(DType::f32, workers, cut.most_rows() * cut.sums_stride());
  return s.arena().take(DType::bf16, workers, 2 * cut.chunk * kParts<T> * kPanelStep);
}

template <class T>
void run(Stream& s, const AmxProduct& p) {
  using Second = std::conditional_t<std::is_same_v<T, bf16>, float, bf16>;
  const Cut<T> cut(p, s.threads());
  const int64_t workers = least(s.threads(), cut.tasks());
  const Scratch scratch(s);
  const Span tiles = s.arena().take(DType::bf16, workers, cut.most_rows() * cut.chunk * kDepth * kParts<T>);
  const Span second = take_second(s, cut, workers);
  std::atomic<int64_t> next{0};
  s.team().tasks(workers, [&](int64_t worker) {
    const AmxScope scope;
    set_amx_shapes({});
    for (int64_t task = next.fetch_add(1); task < cut.tasks(); task = next.fetch_add(1)) {
      run_task(p, cut, Task(p, cut, task), row_of<bf16>(tiles, worker), row_of<Second>(second, worker));
    }
  });
}

}  // namespace

void multiply(Stream& s, const AmxProduct& p) {
  if (p.c.rows == 0) return;
  with_float_type(p.a.dtype, [&]<class T>(T) { run<T>(s, p); });
}

}  // namespace aid::AID_TARGET
