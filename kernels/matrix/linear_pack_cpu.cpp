// Everything moves in 32-bit words of p elements along k: joining p rows makes words, and a transpose of 16 x 16 words
// turns rows of words into columns. Work is split by a panel's width in rows of the weights, and by columns of the
// activations.
#include "kernels/cpu/simd.h"
#include "kernels/matrix/linear_pack.h"

namespace aid::AID_TARGET {

using gemm::ColumnSums;
using gemm::PackOuter;
using gemm::PackWeights;
using gemm::Panel;

namespace {

constexpr int kWords = 16;
constexpr int kSide = 64;  // columns of dy that go side by side
template <class T>
constexpr int kPerWord = 4 / sizeof(T);
template <class T>
constexpr int kBlock = kWords* kPerWord<T>;  // k of one block

constexpr int64_t blocks(int64_t n, int64_t size) { return (n + size - 1) / size; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// May alias: words are looked at as elements and the reverse.
using Word [[gnu::may_alias]] = uint32_t;

// to[j][i] = from[i][j] of 16 x 16 words, rows so many words apart. Eklundh 1972: exchanges one bit of the row number
// with the same bit of the column number, for each of the four bits. Of `to`, only the first `count` rows are written.
inline void transpose(const Word* from, int64_t from_stride, Word* to, int64_t to_stride, int64_t count = kWords) {
#if defined(__AVX512F__)
  __m512i rows[kWords];
  for (int i = 0; i < kWords; ++i) rows[i] = _mm512_loadu_si512(from + i * from_stride);
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
#pragma GCC unroll 4
  for (int bit = 1; bit < kWords; bit *= 2) {
    // Lanes without the bit stay in the upper row's vector; those with it come from the lower row, and the reverse.
    const __m512i other = _mm512_xor_si512(lane, _mm512_set1_epi32(bit));
    const __mmask16 with = _mm512_test_epi32_mask(lane, _mm512_set1_epi32(bit));
    const __m512i upper = _mm512_mask_or_epi32(lane, with, other, _mm512_set1_epi32(kWords));
    const __m512i lower = _mm512_mask_or_epi32(other, with, lane, _mm512_set1_epi32(kWords));
#pragma GCC unroll 16
    for (int i = 0; i < kWords; ++i) {
      if ((i & bit) != 0) continue;
      const __m512i a = rows[i], b = rows[i | bit];
      rows[i] = _mm512_permutex2var_epi32(a, upper, b);
      rows[i | bit] = _mm512_permutex2var_epi32(a, lower, b);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kWords; ++i) {
    if (i < count) _mm512_storeu_si512(to + i * to_stride, rows[i]);
  }
#else
  for (int i = 0; i < kWords; ++i) {
    for (int64_t j = 0; j < least(count, kWords); ++j) to[j * to_stride + i] = from[i * from_stride + j];
  }
#endif
}

// n elements in T, then zeros up to `padded`.
template <class T, class Source>
inline void convert(const Source* from, int64_t n, T* to, int64_t padded) {
  for_vectors(n, [&](int64_t i, auto lanes) { store_n(load_n(from + i, lanes), to + i, lanes); });
  for (int64_t i = n; i < padded; ++i) to[i] = T{};
}

// kPanel words: word j holds element column + j of p rows. Rows from `last` on, and columns from `cols` on, are zeros.
template <int kPanel, class T, class Source, class RowAt>
inline void join_rows(RowAt row_at, int64_t row, int64_t last, int64_t column, int64_t cols, Word* words) {
  using Element [[gnu::may_alias]] = std::conditional_t<kPerWord<T> == 1, uint32_t, uint16_t>;
  alignas(64) T parts[2][kPanel];
  const Element* rows[kPerWord<T>];
  const int64_t n = least(cols - column, kPanel);
  for (int p = 0; p < kPerWord<T>; ++p) {
    const Source* source = row + p < last ? row_at(row + p) + column : nullptr;
    if (std::is_same_v<T, Source> && source != nullptr && n == kPanel) {
      rows[p] = reinterpret_cast<const Element*>(source);
    } else {
      convert(source, source != nullptr ? n : 0, parts[p], kPanel);
      rows[p] = reinterpret_cast<const Element*>(parts[p]);
    }
  }
  if constexpr (kPerWord<T> == 1) {
    __builtin_memcpy(words, rows[0], sizeof(Word) * kPanel);
  } else {
    for (int j = 0; j < kPanel; ++j) words[j] = static_cast<Word>(rows[0][j]) | static_cast<Word>(rows[1][j]) << 16;
  }
}

// Each task reads kPanel rows of W: a panel of Wᵀ.
template <class T, int kPanel>
void pack_transposed(Stream& s, const PackWeights& a) {
  const int64_t panel_size = blocks(a.in, kBlock<T>) * kBlock<T> * kPanel;
  s.team().tasks(blocks(a.out, kPanel), [&](int64_t panel) {
    const int64_t first = panel * kPanel, last = least(first + kPanel, a.out);
    T* panel_start = static_cast<T*>(a.panels.data) + panel * panel_size;
    alignas(64) Word rows[kWords][kWords];
    for (int64_t part = 0; part < kPanel; part += kWords) {
      for (int64_t k = 0; k < a.in; k += kBlock<T>) {
        const int64_t n = least(a.in - k, kBlock<T>);
        for (int i = 0; i < kWords; ++i) {
          const bool inside = first + part + i < last;
          const float* source = inside ? a.rows[first + part + i] + k : nullptr;
          convert(source, inside ? n : 0, reinterpret_cast<T*>(rows[i]), kBlock<T>);
        }
        T* to = panel_start + k * kPanel + part * kPerWord<T>;
        transpose(rows[0], kWords, reinterpret_cast<Word*>(to), kPanel);
      }
    }
  });
}

// Each task reads kPanel rows of W: a piece of every panel of W.
template <class T, int kPanel>
void pack_as_given(Stream& s, const PackWeights& a) {
  const int64_t panel_size = blocks(a.out, kBlock<T>) * kBlock<T> * kPanel;
  s.team().tasks(blocks(a.out, kPanel), [&](int64_t task) {
    const int64_t first = task * kPanel, last = least(first + kPanel, a.out);
    for (int64_t column = 0; column < a.in; column += kPanel) {
      T* to = static_cast<T*>(a.panels.data) + column / kPanel * panel_size + first * kPanel;
      for (int64_t row = first; row < blocks(last, kBlock<T>) * kBlock<T>; row += kPerWord<T>) {
        join_rows<kPanel, T, float>([&](int64_t r) { return a.rows[r]; }, row, last, column, a.in,
                                    reinterpret_cast<Word*>(to + (row - first) * kPanel));
      }
    }
  });
}

// The sums of kSide columns, each in the order of the rows.
template <class T>
void add_sums(Span to, CSpan dy, int64_t first) {
  constexpr int kVectors = kSide / kLanes;
  float* sums = row_of<float>(to, 0) + first;
  const T* row = row_of<T>(dy, 0) + first;
  const int64_t cols = least(dy.cols - first, kSide);
  if (cols == kSide) {
    Vec sum[kVectors];
    for (int v = 0; v < kVectors; ++v) sum[v] = load(sums + v * kLanes);
    for (int64_t r = 0; r < dy.rows; ++r, row += dy.stride) {
      for (int v = 0; v < kVectors; ++v) sum[v] += load(row + v * kLanes);
    }
    for (int v = 0; v < kVectors; ++v) store(sum[v], sums + v * kLanes);
  } else {
    for (int64_t r = 0; r < dy.rows; ++r, row += dy.stride) {
      for (int64_t o = 0; o < cols; ++o) sums[o] += static_cast<float>(row[o]);
    }
  }
}

// Columns [first, last) of dy, some panels of them: side by side, so that rows are read in long pieces.
template <class T>
void pack_a(const PackOuter& a, int64_t first, int64_t last) {
  const T* dy = row_of<T>(a.dy, 0);
  const int64_t k = a.a.cols;
  const auto row_at = [&](int64_t r) { return dy + r * a.dy.stride; };
  alignas(64) Word words[kWords][kSide];
  for (int64_t row = 0; row < k; row += kBlock<T>) {
    for (int64_t panel = first; panel < last; panel += kSide) {
      for (int i = 0; i < kWords; ++i) {
        join_rows<kSide, T, T>(row_at, row + i * kPerWord<T>, a.dy.rows, panel, last, words[i]);
      }
      for (int64_t part = panel; part < least(panel + kSide, last); part += kWords) {
        Word* to = reinterpret_cast<Word*>(row_of<T>(a.a, 0) + part * k + row);
        transpose(words[0] + (part - panel), kSide, to, k / kPerWord<T>, last - part);
      }
    }
  }
  if (a.sums.empty()) return;
  for (int64_t panel = first; panel < last; panel += kSide) add_sums<T>(a.sums, a.dy, panel);
}

template <class T, int kPanel>
void pack_b(const PackOuter& a, int64_t first, int64_t last) {
  const T* x = row_of<T>(a.x, 0);
  const int64_t k = a.a.cols;
  const auto row_at = [&](int64_t r) { return x + r * a.x.stride; };
  for (int64_t row = 0; row < k; row += kPerWord<T>) {
    for (int64_t panel = first; panel < last; panel += kPanel) {
      Word* to = static_cast<Word*>(a.b.data) + (panel * k + row * kPanel) / kPerWord<T>;
      join_rows<kPanel, T, T>(row_at, row, a.x.rows, panel, last, to);
    }
  }
}

// Calls f with the panel's columns as a constant.
template <class F>
void with_panel(Panel panel, F&& f) {
  panel == Panel::columns_32 ? f.template operator()<32>() : f.template operator()<64>();
}

}  // namespace

void pack_weights(Stream& s, const PackWeights& a) {
  with_float_type(a.panels.dtype, [&]<class T>(T) {
    with_panel(a.panel, [&]<int kPanel> {
      a.order == gemm::Order::transposed ? pack_transposed<T, kPanel>(s, a) : pack_as_given<T, kPanel>(s, a);
    });
  });
}

void pack_outer(Stream& s, const PackOuter& a) {
  constexpr int64_t kTask = 4 * kSide;
  const int64_t a_tasks = blocks(a.dy.cols, kTask), b_tasks = blocks(a.x.cols, kTask);
  with_float_type(a.x.dtype, [&]<class T>(T) {
    s.team().tasks(a_tasks + b_tasks, [&](int64_t task) {
      if (task < a_tasks) return pack_a<T>(a, task * kTask, least((task + 1) * kTask, a.dy.cols));
      const int64_t first = (task - a_tasks) * kTask;
      with_panel(a.panel, [&]<int kPanel> { pack_b<T, kPanel>(a, first, least(first + kTask, a.x.cols)); });
    });
  });
}

void add_column_sums(Stream& s, const ColumnSums& a) {
  with_float_type(a.dy.dtype, [&]<class T>(T) {
    s.team().tasks(blocks(a.dy.cols, kSide), [&](int64_t part) { add_sums<T>(a.sums, a.dy, part * kSide); });
  });
}

}  // namespace aid::AID_TARGET
