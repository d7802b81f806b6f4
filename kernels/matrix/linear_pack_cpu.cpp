// Everything moves in 32-bit words of p elements along k: joining p rows makes words, and a transpose of 16 x 16 words
// turns rows of words into columns. Work is split by 64 rows of the weights, and by 64 columns of the activations.
#include "kernels/cpu/simd.h"
#include "kernels/matrix/linear_pack.h"

namespace aid::AID_TARGET {

using gemm::ColumnSums;
using gemm::kPanel;
using gemm::PackOuter;
using gemm::PackWeights;

namespace {

constexpr int kWords = 16;
template <class T>
constexpr int kPerWord = 4 / sizeof(T);
template <class T>
constexpr int kBlock = kWords* kPerWord<T>;  // k of one block

constexpr int64_t blocks(int64_t n, int64_t size) { return (n + size - 1) / size; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// May alias: words are looked at as elements and the reverse.
using Word [[gnu::may_alias]] = uint32_t;
using Tile = Word[kWords][kWords];

// Eklundh 1972: exchanges one bit of the row number with the same bit of the column number, for each of the four bits.
inline void transpose(const Tile& from, Tile& to) {
#if defined(__AVX512F__)
  __m512i rows[kWords];
  for (int i = 0; i < kWords; ++i) rows[i] = _mm512_load_si512(from[i]);
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
  for (int i = 0; i < kWords; ++i) _mm512_store_si512(to[i], rows[i]);
#else
  for (int i = 0; i < kWords; ++i) {
    for (int j = 0; j < kWords; ++j) to[j][i] = from[i][j];
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
template <class T, class Source, class RowAt>
inline void join_rows(RowAt row_at, int64_t row, int64_t last, int64_t column, int64_t cols, Word* words) {
  alignas(64) T parts[2][kPanel];
  const int64_t n = least(cols - column, kPanel);
  for (int p = 0; p < kPerWord<T>; ++p) {
    const bool inside = row + p < last;
    const Source* source = inside ? row_at(row + p) + column : nullptr;
    convert(source, inside ? n : 0, parts[p], kPanel);
  }
  if constexpr (kPerWord<T> == 1) {
    __builtin_memcpy(words, parts[0], sizeof(Word) * kPanel);
  } else {
    for (int j = 0; j < kPanel; ++j) {
      words[j] = static_cast<Word>(parts[0][j].bits) | static_cast<Word>(parts[1][j].bits) << 16;
    }
  }
}

// Each task reads kPanel rows of W: a panel of Wᵀ.
template <class T>
void pack_transposed(Stream& s, const PackWeights& a) {
  const int64_t panel_size = blocks(a.in, kBlock<T>) * kBlock<T> * kPanel;
  s.team().tasks(blocks(a.out, kPanel), [&](int64_t panel) {
    const int64_t first = panel * kPanel, last = least(first + kPanel, a.out);
    alignas(64) Tile rows, columns;
    for (int64_t k = 0; k < a.in; k += kBlock<T>) {
      const int64_t n = least(a.in - k, kBlock<T>);
      for (int64_t part = 0; part < kPanel; part += kWords) {
        for (int i = 0; i < kWords; ++i) {
          const bool inside = first + part + i < last;
          const float* source = inside ? a.rows[first + part + i] + k : nullptr;
          convert(source, inside ? n : 0, reinterpret_cast<T*>(rows[i]), kBlock<T>);
        }
        transpose(rows, columns);
        T* to = static_cast<T*>(a.panels.data) + panel * panel_size + k * kPanel + part * kPerWord<T>;
        for (int i = 0; i < kWords; ++i) __builtin_memcpy(to + i * kPanel * kPerWord<T>, columns[i], sizeof columns[i]);
      }
    }
  });
}

// Each task reads kPanel rows of W: a piece of every panel of W.
template <class T>
void pack_as_given(Stream& s, const PackWeights& a) {
  const int64_t panel_size = blocks(a.out, kBlock<T>) * kBlock<T> * kPanel;
  s.team().tasks(blocks(a.out, kPanel), [&](int64_t task) {
    const int64_t first = task * kPanel, last = least(first + kPanel, a.out);
    for (int64_t column = 0; column < a.in; column += kPanel) {
      T* to = static_cast<T*>(a.panels.data) + column / kPanel * panel_size + first * kPanel;
      for (int64_t row = first; row < blocks(last, kBlock<T>) * kBlock<T>; row += kPerWord<T>) {
        join_rows<T, float>([&](int64_t r) { return a.rows[r]; }, row, last, column, a.in,
                            reinterpret_cast<Word*>(to + (row - first) * kPanel));
      }
    }
  });
}

// The sums of kPanel columns.
template <class T>
void add_panel_sums(Span to, CSpan dy, int64_t first) {
  const int64_t last = least(first + kPanel, dy.cols);
  for (int64_t column = first; column < last; column += kLanes) {
    const int n = static_cast<int>(least(last - column, kLanes));
    float* sums = row_of<float>(to, 0) + column;
    const T* row = row_of<T>(dy, 0) + column;
    Vec sum = load_part(sums, n);
    if (n == kLanes) {
      for (int64_t r = 0; r < dy.rows; ++r) sum += load(row + r * dy.stride);
    } else {
      for (int64_t r = 0; r < dy.rows; ++r) sum += load_part(row + r * dy.stride, n);
    }
    store_part(sum, sums, n);
  }
}

template <class T>
void pack_a(const PackOuter& a, int64_t first) {
  const T* dy = row_of<T>(a.dy, 0);
  const int64_t k = a.a.cols, cols = a.dy.cols, last = least(first + kPanel, cols);
  const auto row_at = [&](int64_t r) { return dy + r * a.dy.stride; };
  alignas(64) Word words[kWords][kPanel];
  alignas(64) Tile rows, columns;
  for (int64_t row = 0; row < k; row += kBlock<T>) {
    for (int i = 0; i < kWords; ++i) {
      join_rows<T, T>(row_at, row + i * kPerWord<T>, a.dy.rows, first, cols, words[i]);
    }
    for (int64_t part = 0; part < kPanel && first + part < last; part += kWords) {
      for (int i = 0; i < kWords; ++i) __builtin_memcpy(rows[i], words[i] + part, sizeof rows[i]);
      transpose(rows, columns);
      for (int64_t i = 0; i < least(last - first - part, kWords); ++i) {
        __builtin_memcpy(row_of<T>(a.a, 0) + (first + part + i) * k + row, columns[i], sizeof columns[i]);
      }
    }
  }
  if (!a.sums.empty()) add_panel_sums<T>(a.sums, a.dy, first);
}

template <class T>
void pack_b(const PackOuter& a, int64_t first) {
  const T* x = row_of<T>(a.x, 0);
  const int64_t k = a.a.cols;
  Word* to = static_cast<Word*>(a.b.data) + first * (k / kPerWord<T>);
  for (int64_t row = 0; row < k; row += kPerWord<T>, to += kPanel) {
    join_rows<T, T>([&](int64_t r) { return x + r * a.x.stride; }, row, a.x.rows, first, a.x.cols, to);
  }
}

}  // namespace

void pack_weights(Stream& s, const PackWeights& a) {
  with_float_type(a.panels.dtype, [&]<class T>(T) {
    a.order == gemm::Order::transposed ? pack_transposed<T>(s, a) : pack_as_given<T>(s, a);
  });
}

void pack_outer(Stream& s, const PackOuter& a) {
  const int64_t a_tasks = blocks(a.dy.cols, kPanel), b_tasks = blocks(a.x.cols, kPanel);
  with_float_type(a.x.dtype, [&]<class T>(T) {
    s.team().tasks(a_tasks + b_tasks, [&](int64_t task) {
      task < a_tasks ? pack_a<T>(a, task * kPanel) : pack_b<T>(a, (task - a_tasks) * kPanel);
    });
  });
}

void add_column_sums(Stream& s, const ColumnSums& a) {
  with_float_type(a.dy.dtype, [&]<class T>(T) {
    s.team().tasks(blocks(a.dy.cols, kPanel), [&](int64_t panel) { add_panel_sums<T>(a.sums, a.dy, panel * kPanel); });
  });
}

}  // namespace aid::AID_TARGET
