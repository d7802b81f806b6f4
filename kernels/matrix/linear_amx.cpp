// A block of 32 x 32 sums stays in four tiles while two tiles of a and two of b pass for each step of 32 along k: of
// the eight tiles the arrangement with the fewest loads. Loads are what limits it, so that
//   - a is copied into whole tiles first, a task's rows at a time, which then stay in the core's L2 cache;
//   - b's panels are as wide as a block, and a piece of a panel (kPiece along k) stays in the L1 cache while all of the
//     task's rows pass over it; the next panel's is fetched from memory meanwhile.
// Sums that are not complete after a piece wait in scratch memory as f32, which changes no bit.
// Sources: Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter 20 (tiles, blocking).
#include "kernels/matrix/linear_amx.h"

#include <atomic>

#include "kernels/cpu/amx.h"
#include "kernels/cpu/simd.h"
#include "kernels/matrix/linear_pack.h"

namespace aid::AID_TARGET {

using gemm::AmxProduct;

namespace {

constexpr int64_t kDepth = 32;                    // elements of k in a tile
constexpr int64_t kTileSize = kAmxRows * kDepth;  // elements of a tile
constexpr int64_t kBlock = 2 * kAmxRows;          // rows and columns of a block of sums
constexpr int64_t kPiece = 256 / kDepth;          // steps: 16 KB of b
constexpr int64_t kChunk = 1024 / kDepth;         // steps that a task's copy of a holds at most
constexpr int64_t kRows = 512;                    // of a task; half where sums wait for another chunk
constexpr int64_t kColumns = 1024;                // of a task whose sums wait
constexpr int64_t kPanel = gemm::columns_of(gemm::Panel::columns_32);
static_assert(kPanel == kBlock);

constexpr int64_t blocks(int64_t n, int64_t size) { return (n + size - 1) / size; }
constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Memory that is asked for some lines at each step, until `end`.
struct Prefetch {
  const char *next, *end;
  int64_t lines_per_step;

  [[gnu::always_inline]] void step() {
    for (int64_t i = 0; i < lines_per_step && next < end; ++i, next += 64) _mm_prefetch(next, _MM_HINT_T1);
  }
};

// sums (+)= a b over some steps. a: tiles of the upper 16 rows, one after the other; those of the lower 16 lie
// `lower_rows` further.
[[gnu::always_inline]] inline void multiply_block(float* sums, int64_t stride, const bf16* a, int64_t lower_rows,
                                                  const bf16* b, int64_t steps, bool begins, Prefetch& prefetch) {
  const auto row_bytes = static_cast<size_t>(stride) * sizeof(float);
  float* const lower = sums + kAmxRows * stride;
  before_amx_loads();
  if (begins) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums, row_bytes);
    _tile_loadd(1, sums + kAmxRows, row_bytes);
    _tile_loadd(2, lower, row_bytes);
    _tile_loadd(3, lower + kAmxRows, row_bytes);
  }
  constexpr size_t kPanelRow = 2 * kPanel * sizeof(bf16);
  for (int64_t k = 0; k < steps; ++k) {
    _tile_loadd(6, b, kPanelRow);
    _tile_loadd(7, b + kDepth, kPanelRow);
    _tile_loadd(4, a, 64);
    _tile_loadd(5, a + lower_rows, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    prefetch.step();
    a += kTileSize;
    b += kDepth * kPanel;
  }
  _tile_stored(0, sums, row_bytes);
  _tile_stored(1, sums + kAmxRows, row_bytes);
  _tile_stored(2, lower, row_bytes);
  _tile_stored(3, lower + kAmxRows, row_bytes);
}

// Rows [begin, end) of a, steps [first, first + steps), as tiles: 16 rows' steps one after the other. What is missing
// to whole blocks is zero.
void copy_tiles(bf16* to, const CSpan& a, int64_t begin, int64_t end, int64_t first, int64_t steps) {
  const int64_t whole = least(a.cols / kDepth - first, steps);
  for (int64_t row = begin; row < begin + blocks(end - begin, kBlock) * kBlock; ++row) {
    const int64_t i = row - begin;
    bf16* tile_row = to + i / kAmxRows * steps * kTileSize + i % kAmxRows * kDepth;
    const bf16* from = row_of<bf16>(a, row) + first * kDepth;
    for (int64_t k = 0; k < steps; ++k, tile_row += kTileSize) {
      if (row < end && k < whole) {
        _mm512_store_si512(tile_row, _mm512_loadu_si512(from + k * kDepth));
        continue;
      }
      _mm512_store_si512(tile_row, _mm512_setzero_si512());
      if (row < end) __builtin_memcpy(tile_row, from + k * kDepth, static_cast<size_t>(a.cols % kDepth) * sizeof(bf16));
    }
  }
}

// Rows [begin, end) of kPanel columns of c from `column` on.
template <class T>
void write(const AmxProduct& p, const float* sums, int64_t stride, int64_t begin, int64_t end, int64_t column) {
  const int64_t columns = least(p.c.cols - column, kPanel);
  const float* const bias = p.bias.empty() ? nullptr : row_of<float>(p.bias, 0) + column;
  for (int64_t row = begin; row < end; ++row, sums += stride) {
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

// How a product is cut into tasks.
struct Cut {
  Cut(const AmxProduct& p, int threads)
      : steps(blocks(p.a.cols, kDepth)),
        panels(blocks(p.c.cols, kPanel)),
        rows(steps > kChunk ? kRows / 2 : kRows),
        row_tasks(blocks(p.c.rows, rows)),
        column_tasks(blocks(threads, row_tasks)) {
    if (steps > kChunk)
      column_tasks = column_tasks < blocks(p.c.cols, kColumns) ? blocks(p.c.cols, kColumns) : column_tasks;
    column_tasks = least(column_tasks, panels);
  }
  int64_t panels_of_task() const { return blocks(panels, column_tasks); }
  // Floats from one row of sums to the next.
  int64_t sums_stride() const { return (steps > kChunk ? panels_of_task() : 1) * kPanel; }

  int64_t steps, panels, rows, row_tasks, column_tasks;
};

[[gnu::flatten]] void run_task(const AmxProduct& p, const Cut& cut, int64_t task, bf16* tiles, float* sums) {
  const int64_t begin = task / cut.column_tasks * cut.rows, end = least(begin + cut.rows, p.c.rows);
  const int64_t part = task % cut.column_tasks;
  const int64_t first_panel = cut.panels * part / cut.column_tasks;
  const int64_t last_panel = cut.panels * (part + 1) / cut.column_tasks;
  const int64_t row_blocks = blocks(end - begin, kBlock), stride = cut.sums_stride();
  const int64_t panel_size = cut.steps * kDepth * kPanel;
  const bf16* const b = static_cast<const bf16*>(p.b.data);
  for (int64_t chunk = 0; chunk < cut.steps; chunk += kChunk) {
    const int64_t chunk_steps = least(kChunk, cut.steps - chunk);
    copy_tiles(tiles, p.a, begin, end, chunk, chunk_steps);
    for (int64_t panel = first_panel; panel < last_panel; ++panel) {
      float* const panel_sums = sums + (cut.steps > kChunk ? (panel - first_panel) * kPanel : 0);
      for (int64_t k = 0; k < chunk_steps; k += kPiece) {
        const int64_t steps = least(kPiece, chunk_steps - k);
        const bf16* const piece = b + panel * panel_size + (chunk + k) * kDepth * kPanel;
        const auto* next = reinterpret_cast<const char*>(piece + panel_size);
        const int64_t lines = panel + 1 < last_panel ? steps * kDepth * kPanel * int64_t{sizeof(bf16)} / 64 : 0;
        Prefetch prefetch = {next, next + lines * 64, least(blocks(2 * lines, row_blocks * steps), 8)};
        for (int64_t block = 0; block < row_blocks; ++block) {
          multiply_block(panel_sums + block * kBlock * stride, stride,
                         tiles + (2 * block * chunk_steps + k) * kTileSize, chunk_steps * kTileSize, piece, steps,
                         chunk + k == 0, prefetch);
        }
      }
      if (chunk + chunk_steps < cut.steps) continue;
      with_float_type(p.c.dtype, [&]<class T>(T) { write<T>(p, panel_sums, stride, begin, end, panel * kPanel); });
    }
  }
}

}  // namespace

void multiply(Stream& s, const AmxProduct& p) {
  if (p.c.rows == 0) return;
  const Cut cut(p, s.threads());
  const int64_t tasks = cut.row_tasks * cut.column_tasks, workers = least(s.threads(), tasks);
  const int64_t rows = least(cut.rows, blocks(p.c.rows, kBlock) * kBlock);
  const Scratch scratch(s);
  const Span tiles = s.arena().take(DType::bf16, workers, rows * least(cut.steps, kChunk) * kDepth);
  const Span sums = s.arena().take(DType::f32, workers, rows * cut.sums_stride());
  std::atomic<int64_t> next{0};
  s.team().tasks(workers, [&](int64_t worker) {
    const AmxScope scope;
    set_amx_shapes({});
    for (int64_t task = next.fetch_add(1); task < tasks; task = next.fetch_add(1)) {
      run_task(p, cut, task, row_of<bf16>(tiles, worker), row_of<float>(sums, worker));
    }
  });
}

}  // namespace aid::AID_TARGET
