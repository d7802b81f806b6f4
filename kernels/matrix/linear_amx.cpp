// Loads are what limits products of bf16, so that
//   - a is copied into whole tiles first, a task's rows at a time, which then stay in the core's L2 cache;
//   - b's panels are as wide as a block, and a piece of a panel (kPiece along k) stays in the L1 cache while all of the
//     task's rows pass over it; the next panel's is fetched from memory meanwhile.
// Sums that are not complete after a piece wait in scratch memory as f32, which changes no bit.
#include "kernels/matrix/linear_amx.h"

#include "kernels/cpu/simd.h"
#include "kernels/matrix/linear_amx_tasks.h"
#include "kernels/matrix/linear_pack.h"

namespace aid::AID_TARGET {

using gemm::AmxProduct;

namespace {

constexpr int64_t kPiece = 256 / kAmxDepth;   // steps: 16 KB of b
constexpr int64_t kChunk = 1024 / kAmxDepth;  // steps that a task's copy of a holds at most
constexpr int64_t kRows = 512;                // of a task; half where sums wait for another chunk
constexpr int64_t kColumns = 1024;            // of a task whose sums wait
static_assert(kAmxBlock == gemm::columns_of(gemm::Panel::columns_32));

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
[[gnu::always_inline]] inline void multiply_block(const AmxSums& sums, const bf16* a, int64_t lower_rows, const bf16* b,
                                                  int64_t steps, bool begins, Prefetch& prefetch) {
  if (begins) {
    before_amx_loads();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    sums.load();
  }
  for (int64_t k = 0; k < steps; ++k) {
    load_amx_panel(b);
    load_amx_rows(a, a + lower_rows);
    multiply_amx_tiles();
    prefetch.step();
    a += kAmxTile;
    b += kAmxPanel;
  }
  sums.store();
}

// The task's rows of a, steps [first, first + steps), as tiles: 16 rows' steps one after the other. What is missing to
// whole blocks is zero.
void copy_tiles(bf16* to, const CSpan& a, const AmxTask& task, int64_t first, int64_t steps) {
  const int64_t whole = least(a.cols / kAmxDepth - first, steps);
  for (int64_t i = 0; i < task.row_blocks() * kAmxBlock; ++i) {
    const int64_t row = task.begin + i;
    bf16* tile_row = to + i / kAmxRows * steps * kAmxTile + i % kAmxRows * kAmxDepth;
    const bf16* from = row_of<bf16>(a, row) + first * kAmxDepth;
    for (int64_t k = 0; k < steps; ++k, tile_row += kAmxTile) {
      if (row < task.end && k < whole) {
        _mm512_store_si512(tile_row, _mm512_loadu_si512(from + k * kAmxDepth));
        continue;
      }
      _mm512_store_si512(tile_row, _mm512_setzero_si512());
      if (row < task.end) {
        __builtin_memcpy(tile_row, from + k * kAmxDepth, static_cast<size_t>(a.cols % kAmxDepth) * sizeof(bf16));
      }
    }
  }
}

// The task's rows of a panel's columns of c, from `column` on.
template <class T>
void write(const AmxProduct& p, const float* sums, int64_t stride, const AmxTask& task, int64_t column) {
  const int64_t columns = least(p.c.cols - column, kAmxBlock);
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

// sums: [the task's rows, sums_stride].
[[gnu::flatten]] void run_task(const AmxProduct& p, const AmxTask& task, bf16* tiles, float* sums,
                               int64_t sums_stride) {
  const int64_t steps = blocks(p.a.cols, kAmxDepth), panel_size = steps * kAmxPanel, row_blocks = task.row_blocks();
  const bf16* const b = static_cast<const bf16*>(p.b.data);
  for (int64_t chunk = 0; chunk < steps; chunk += kChunk) {
    const int64_t chunk_steps = least(kChunk, steps - chunk);
    copy_tiles(tiles, p.a, task, chunk, chunk_steps);
    for (int64_t panel = task.first_panel; panel < task.last_panel; ++panel) {
      float* const panel_sums = sums + (steps > kChunk ? (panel - task.first_panel) * kAmxBlock : 0);
      for (int64_t k = 0; k < chunk_steps; k += kPiece) {
        const int64_t piece_steps = least(kPiece, chunk_steps - k);
        const bf16* const piece = b + panel * panel_size + (chunk + k) * kAmxPanel;
        const auto* next = reinterpret_cast<const char*>(piece + panel_size);
        const int64_t lines = panel + 1 < task.last_panel ? piece_steps * kAmxPanel * int64_t{sizeof(bf16)} / 64 : 0;
        Prefetch prefetch = {next, next + lines * 64, least(blocks(2 * lines, row_blocks * piece_steps), 8)};
        for (int64_t block = 0; block < row_blocks; ++block) {
          multiply_block({panel_sums + block * kAmxBlock * sums_stride, sums_stride},
                         tiles + (2 * block * chunk_steps + k) * kAmxTile, chunk_steps * kAmxTile, piece, piece_steps,
                         chunk + k == 0, prefetch);
        }
      }
      if (chunk + chunk_steps < steps) continue;
      with_float_type(p.c.dtype, [&]<class T>(T) { write<T>(p, panel_sums, sums_stride, task, panel * kAmxBlock); });
    }
  }
}

}  // namespace

void multiply(Stream& s, const AmxProduct& p) {
  if (p.c.rows == 0) return;
  if (p.a.dtype == DType::f32) return multiply_split(s, p);
  const int64_t steps = blocks(p.a.cols, kAmxDepth);
  const bool wait = steps > kChunk;
  const AmxCut cut(p.c, wait ? kRows / 2 : kRows, wait ? kColumns : p.c.cols, s.threads());
  const int64_t workers = least(s.threads(), cut.tasks()), rows = cut.rows_of_task();
  const int64_t sums_stride = (wait ? cut.panels_of_task() : 1) * kAmxBlock;
  const Scratch scratch(s);
  const Span tiles = s.arena().take(DType::bf16, workers, rows * least(steps, kChunk) * kAmxDepth);
  const Span sums = s.arena().take(DType::f32, workers, rows * sums_stride);
  for_each_amx_task(s, cut, workers, [&](const AmxTask& task, int64_t worker) {
    run_task(p, task, row_of<bf16>(tiles, worker), row_of<float>(sums, worker), sums_stride);
  });
}

}  // namespace aid::AID_TARGET
