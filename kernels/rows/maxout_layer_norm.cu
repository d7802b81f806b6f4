// Equations: maxout_layer_norm.h. A warp (up to 1,024 columns) or a block has a row's maxima in its registers, as
// residual_layer_norm.cu has a row. A thread's columns have their pieces beside each other, so that threads reading
// them would leave gaps between them: a warp moves the pieces of its 32 kWidth columns, which are one run of memory, by
// way of shared memory. Backward keeps which piece was a column's maximum in four bits, and so reads z once.
#include "kernels/rows/maxout_layer_norm.h"

#include "kernels/device/column_sums.cuh"
#include "kernels/device/layer_norm_row.cuh"

namespace aid::cuda {
namespace {

// The pieces of a warp's 32 kWidth columns; kPieces is their number, or 0 for one that the compiler does not know.
// Of a known number the thread holds its own columns' in registers, read from shared memory in vectors: with three of
// them, no bank twice.
template <class Tile, int kPieces>
class PieceRun {
 public:
  static constexpr int kWidth = Tile::kWidth;

  // shared: kWarp kWidth pieces elements for each warp of the block.
  __device__ PieceRun(float* shared, int64_t pieces)
      : pieces_(kPieces > 0 ? kPieces : static_cast<int>(pieces)),
        lane_(static_cast<int>(threadIdx.x) % kWarp),
        run_(shared + static_cast<int>(threadIdx.x) / kWarp * kWarp * kWidth * pieces_) {}

  // Of the row z; column: the thread's first, cols: the row's. All lanes together.
  __device__ void read(const float* z, int column, int cols) {
    __syncwarp();  // the run before has been used
    for_vectors(column, cols, [&](int64_t in_row, int in_run) {
      float values[kWidth];
      load(z + in_row, values);
      put(values, run_ + in_run);
    });
    __syncwarp();
    if constexpr (kPieces > 0) {
#pragma unroll
      for (int j = 0; j < kPieces; ++j) load(run_ + (lane_ * kPieces + j) * kWidth, own_[j]);
    }
  }
  __device__ void write(float* dz, int column, int cols) {
    if constexpr (kPieces > 0) {
      __syncwarp();
#pragma unroll
      for (int j = 0; j < kPieces; ++j) put(own_[j], run_ + (lane_ * kPieces + j) * kWidth);
    }
    __syncwarp();
    for_vectors(column, cols, [&](int64_t in_row, int in_run) {
      float values[kWidth];
      load(run_ + in_run, values);
      store(values, dz + in_row);
    });
    if constexpr (kPieces == 0) __syncwarp();
  }

  __device__ int pieces() const { return pieces_; }
  // Piece p of the thread's column i.
  __device__ float& at(int i, int p) {
    if constexpr (kPieces > 0) {
      return own_[(i * kPieces + p) / kWidth][(i * kPieces + p) % kWidth];
    } else {
      return run_[(lane_ * kWidth + i) * pieces_ + p];
    }
  }

 private:
  // f(in_row, in_run) for the run's vectors that are this lane's: neighbouring lanes, neighbouring vectors.
  template <class F>
  __device__ void for_vectors(int column, int cols, F&& f) const {
    const int64_t first = int64_t{column - lane_ * kWidth} * pieces_, end = int64_t{cols} * pieces_;
#pragma unroll
    for (int j = 0; j < pieces_; ++j) {
      const int in_run = (j * kWarp + lane_) * kWidth;
      if (first + in_run < end) f(first + in_run, in_run);
    }
  }
  // A vector's store by name: nvcc may take an assignment apart into four, which would meet banks four times.
  __device__ static void put(const float (&values)[kWidth], float* shared) {
    if constexpr (kWidth == 4) {
      asm volatile(
          "st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
          "f"(values[0]), "f"(values[1]), "f"(values[2]), "f"(values[3])
          : "memory");
    } else {
      *shared = values[0];
    }
  }

  const int pieces_, lane_;
  float* const run_;
  float own_[kPieces > 0 ? kPieces : 1][kWidth];
};

constexpr int kPieceBits = 4;
static_assert(kMostPieces <= 1 << kPieceBits);

// m: the maxima of the row's pieces; which: their pieces, kPieceBits for each of a chunk's columns.
template <class Tile, class Run>
__device__ void find_maxima(Run& run, const float* z, int cols, typename Tile::Values& m,
                            uint32_t (&which)[Tile::kChunks]) {
  Tile::for_each(cols, [&](int chunk, int column, bool inside) {
    run.read(z, column, cols);
    which[chunk] = 0;
    if (!inside) return;
#pragma unroll
    for (int i = 0; i < Tile::kWidth; ++i) {
      float largest = run.at(i, 0);
      int piece = 0;
#pragma unroll
      for (int p = 1; p < run.pieces(); ++p) {
        const bool larger = run.at(i, p) > largest;
        largest = larger ? run.at(i, p) : largest;
        piece = larger ? p : piece;
      }
      m[chunk][i] = largest;
      which[chunk] |= static_cast<uint32_t>(piece) << kPieceBits * i;
    }
  });
}

template <class Tile, int kPieces>
__global__ void __launch_bounds__(Tile::kBlock)
    maxout_layer_norm_forward_kernel(MaxoutLayerNormForward a, DropoutKernel dropout) {
  extern __shared__ __align__(16) float shared[];
  __shared__ RowSum<Tile> sum;
  const int cols = static_cast<int>(a.y.cols);
  const int64_t row = int64_t{blockIdx.x} * Tile::kRows + threadIdx.x / Tile::kThreads;
  if (row >= a.y.rows) return;  // a whole warp, or nobody of a block
  typename Tile::Values m, x;
  uint32_t which[Tile::kChunks];
  const bool residual = a.x.data != nullptr;
  if (residual) Tile::load_row(row_of<float>(a.x, row), cols, x);
  PieceRun<Tile, kPieces> run(shared, a.pieces);
  find_maxima<Tile>(run, row_of<float>(a.z, row), cols, m, which);
  if (a.gamma.data != nullptr) {
    const RowStatistics statistics = row_statistics<Tile>(m, cols, a.eps, sum);
    normalise<Tile>(m, row_of<float>(a.gamma, 0), row_of<float>(a.beta, 0), cols, statistics);
    if (threadIdx.x % Tile::kThreads == 0) {
      if (a.mean.data != nullptr) row_of<float>(a.mean, 0)[row] = statistics.mean;
      if (a.rstd.data != nullptr) row_of<float>(a.rstd, 0)[row] = statistics.rstd;
    }
  }
  DropoutMask mask(dropout, dropout.on ? row_of<int32_t>(a.row_ids, 0)[row] : 0);
  Tile::for_each(cols, [&](int chunk, int column, bool inside) {
    if (dropout.on) mask.apply(column, m[chunk]);
    if (!inside) return;
#pragma unroll
    for (int i = 0; i < Tile::kWidth; ++i) m[chunk][i] += residual ? x[chunk][i] : 0.0f;
    store(m[chunk], row_of<float>(a.y, row) + column);
  });
}

// Elements of shared memory in which the warps of a block add their sums of dgamma and dbeta.
template <class Tile>
__host__ __device__ int sums_of_block(int64_t cols) {
  return Tile::kRows > 1 ? 2 * static_cast<int>(cols) : 0;
}

// partial: f32 [blocks, 2 cols], where there is a gamma.
template <class Tile, int kPieces>
__global__ void __launch_bounds__(Tile::kBlock)
    maxout_layer_norm_backward_kernel(MaxoutLayerNormBackward a, DropoutKernel dropout, float* partial,
                                      int64_t rows_of_block) {
  extern __shared__ __align__(16) float shared[];
  __shared__ RowSum<Tile> sum;
  const int cols = static_cast<int>(a.dy.cols);
  const int64_t begin = blockIdx.x * rows_of_block;
  const int64_t end = begin + rows_of_block < a.dy.rows ? begin + rows_of_block : a.dy.rows;
  ParameterSums<Tile> sums;
  PieceRun<Tile, kPieces> run(shared + sums_of_block<Tile>(cols), a.pieces);
  for (int64_t row = begin + threadIdx.x / Tile::kThreads; row < end; row += Tile::kRows) {
    typename Tile::Values d, m;
    uint32_t which[Tile::kChunks];
    Tile::load_row(row_of<float>(a.dy, row), cols, d);
    find_maxima<Tile>(run, row_of<float>(a.z, row), cols, m, which);
    DropoutMask mask(dropout, dropout.on ? row_of<int32_t>(a.row_ids, 0)[row] : 0);
    if (dropout.on) Tile::for_each(cols, [&](int chunk, int column, bool) { mask.apply(column, d[chunk]); });
    if (a.gamma.data != nullptr) {
      layer_norm_backward_row<Tile>(d, m, row_of<float>(a.gamma, 0), cols,
                                    {row_of<float>(a.mean, 0)[row], row_of<float>(a.rstd, 0)[row]}, sums, sum);
    }
    Tile::for_each(cols, [&](int chunk, int column, bool) {
#pragma unroll
      for (int i = 0; i < Tile::kWidth; ++i) {
        const int piece = static_cast<int>(which[chunk] >> kPieceBits * i & ((1u << kPieceBits) - 1));
#pragma unroll
        for (int p = 0; p < run.pieces(); ++p) run.at(i, p) = p == piece ? d[chunk][i] : 0.0f;
      }
      run.write(row_of<float>(a.dz, row), column, cols);
    });
  }
  if (a.gamma.data != nullptr) {
    write_parameter_sums<Tile>(sums, cols, shared, partial + int64_t{blockIdx.x} * 2 * cols);
  }
}

// Calls f with the tile for rows of `cols` columns and the number of pieces; `wide`: vectors of kRowWidth elements fit.
template <class F>
void with_maxout_tile(int64_t cols, int64_t pieces, bool wide, F&& f) {
  const auto with_pieces = [&]<class Tile>(Tile tile) {
    if (pieces == 3) {
      f(tile, std::integral_constant<int, 3>());
    } else if (pieces == 2) {
      f(tile, std::integral_constant<int, 2>());
    } else {
      f(tile, std::integral_constant<int, 0>());
    }
  };
  if (!wide || cols > kWarp * kMostPerThread) {
    f(RowTile<kRowBlock, 1, kMostPerThread>{}, std::integral_constant<int, 0>());
  } else if (cols > kWarp * 8) {
    with_pieces(RowTile<kWarp, kRowWidth, kMostPerThread>{});
  } else {
    with_pieces(RowTile<kWarp, kRowWidth, 8>{});  // spaCy's widths are 64 to 256
  }
}

// Bytes of PieceRun's shared memory.
template <class Tile>
size_t bytes_of_runs(int64_t pieces) {
  return static_cast<size_t>(Tile::kBlock * Tile::kWidth * pieces) * sizeof(float);
}

}  // namespace

void maxout_layer_norm_forward(Stream& s, const MaxoutLayerNormForward& a) {
  const bool wide = a.y.cols % kRowWidth == 0 && vectors_fit(kRowWidth, a.y, a.x, a.z, a.gamma, a.beta);
  with_maxout_tile(a.y.cols, a.pieces, wide, [&]<class Tile, class Pieces>(Tile, Pieces) {
    launch(s, maxout_layer_norm_forward_kernel<Tile, Pieces::value>,
           {.grid = blocks_for(a.y.rows, Tile::kRows), .block = Tile::kBlock, .shared = bytes_of_runs<Tile>(a.pieces)},
           a, DropoutKernel(a.dropout));
  });
}

void maxout_layer_norm_backward(Stream& s, const MaxoutLayerNormBackward& a) {
  const Scratch scratch(s);
  const int64_t cols = a.dy.cols, rows_of_block = rows_per_sum(a.dy.rows);
  const bool normalises = !a.gamma.empty();
  const unsigned blocks = blocks_for(a.dy.rows, rows_of_block);
  const Span partial = normalises ? s.arena().take(DType::f32, blocks, 2 * cols) : Span();
  const bool wide = cols % kRowWidth == 0 && vectors_fit(kRowWidth, a.dz, a.dy, a.z, a.gamma, partial);
  with_maxout_tile(cols, a.pieces, wide, [&]<class Tile, class Pieces>(Tile, Pieces) {
    launch(s, maxout_layer_norm_backward_kernel<Tile, Pieces::value>,
           {.grid = blocks,
            .block = Tile::kBlock,
            .shared = static_cast<size_t>(sums_of_block<Tile>(cols)) * sizeof(float) + bytes_of_runs<Tile>(a.pieces)},
           a, DropoutKernel(a.dropout), static_cast<float*>(partial.data), rows_of_block);
  });
  if (normalises) add_column_sums(s, {.first = a.dgamma, .second = a.dbeta, .x = partial});
}

}  // namespace aid::cuda
