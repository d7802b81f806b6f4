// Tiles of attention on tensor cores: elements of 16 bits, products summed in f32 by mma.m16n8k16.
//
// A tile in shared memory has kDim columns; what the head lacks of that is zero. Pieces of 16 bytes are swizzled: piece
// c of row r lies at c ^ (r mod 8) (at c ^ (r / 2 mod 4) where a row has four pieces), so that ldmatrix, which reads
// the same piece of 8 rows, the copies, which write neighbouring pieces of a row, and the results' 4-byte stores meet
// every bank once.
//
// Each warp owns 16 kRowTiles rows of the block's own tile. It alone reads and overwrites them.
#pragma once

#include "kernels/matrix/attention_device.cuh"

namespace aid::cuda {

template <class T, int kDim, int kRowTiles, int kTileColumns>
struct MmaTiles {
  using Element = T;
  static constexpr int kHeadDim = kDim;          // of the widest head that fits
  static constexpr int kColumns = kTileColumns;  // rows of a tile of the other side
  static constexpr int kWarpRows = 16 * kRowTiles;
  static constexpr int kRowLanes = 4;  // threads that share a row of Scores
  static constexpr int kThreadRows = 2 * kRowTiles, kThreadColumns = kColumns / 4;
  static constexpr int kColumnPeriod = 4;  // columns j and j + 4 of a thread are 16 apart,
  static constexpr int kRowPeriod = 2;     // rows i and i + 2, too

  __host__ __device__ static constexpr int tile_bytes(int rows) { return rows * kDim * 2; }
  __host__ __device__ static constexpr int scratch_bytes(int) { return 0; }

  // A thread's part of own rows x columns: of each 16 x 8 the four elements that mma gives it.
  struct Scores {
    float fragments[kRowTiles][kColumns / 8][4];
    __device__ float& at(int i, int j) { return fragments[i / 2][j / 2][i % 2 * 2 + j % 2]; }
  };
  // The same of own rows x kDim.
  struct Output {
    float fragments[kRowTiles][kDim / 8][4];
    __device__ Output() {
#pragma unroll
      for (auto& row : fragments) {
#pragma unroll
        for (auto& tile : row) tile[0] = tile[1] = tile[2] = tile[3] = 0;
      }
    }
    __device__ void scale_row(int i, float factor) {
#pragma unroll
      for (auto& tile : fragments[i / 2]) {
        tile[i % 2 * 2] *= factor;
        tile[i % 2 * 2 + 1] *= factor;
      }
    }
  };

  int lane, first_row;  // the warp's first own row

  __device__ MmaTiles(const AttentionArguments&, unsigned char*)
      : lane(threadIdx.x % kWarp), first_row(threadIdx.x / kWarp * kWarpRows) {}

  // Row of the own tile and column of element (i, j) of Scores.
  __device__ int row(int i) const { return first_row + i / 2 * 16 + i % 2 * 8 + lane / 4; }
  __device__ int column(int j) const { return j / 2 * 8 + lane % 4 * 2 + j % 2; }

  // Starts to copy `tile_rows` rows; rows that `from` has not become zero.
  __device__ static void load(unsigned char* tile, int tile_rows, const HeadRows<const T>& from) {
    const int pieces = tile_rows * kPieces, threads = blockDim.x;
    if (from.vectors) {
#pragma unroll 4
      for (int i = threadIdx.x; i < pieces; i += threads) {
        const int r = i / kPieces, piece = i % kPieces;
        const bool there = r < from.rows && piece * 8 < from.columns;
        copy_async<16>(shared_address(tile + offset(r, piece)),
                       there ? from.data + r * from.stride + piece * 8 : from.data, there ? 16 : 0);
      }
      return;
    }
#pragma unroll 1
    for (int i = threadIdx.x; i < pieces; i += threads) {
      const int r = i / kPieces, piece = i % kPieces, there = r < from.rows ? from.columns - piece * 8 : 0;
      const T* source = from.data + r * from.stride + piece * 8;
      uint32_t words[4];
#pragma unroll
      for (int e = 0; e < 8; e += 2) {
        const uint32_t low = e < there ? source[e].bits : 0, high = e + 1 < there ? source[e + 1].bits : 0;
        words[e / 2] = low | high << 16;
      }
      *reinterpret_cast<uint4*>(tile + offset(r, piece)) = make_uint4(words[0], words[1], words[2], words[3]);
    }
  }

  // s = own other^T.
  __device__ void multiply_transposed(Scores& s, const unsigned char* own, const unsigned char* other) const {
    const uint32_t own_address = shared_address(own), other_address = shared_address(other);
#pragma unroll
    for (auto& row : s.fragments) {
#pragma unroll
      for (auto& tile : row) tile[0] = tile[1] = tile[2] = tile[3] = 0;
    }
#pragma unroll
    for (int k = 0; k < kPieces; k += 2) {
      uint32_t a[kRowTiles][4];
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
        load_matrices(a[r], own_address + offset(first_row + r * 16 + lane % 16, k + lane / 16));
      }
#pragma unroll
      for (int n = 0; n < kColumns / 8; n += 2) {
        uint32_t b[4];
        load_matrices(b, other_address + offset(n * 8 + lane / 16 * 8 + lane % 8, k + lane / 8 % 2));
#pragma unroll
        for (int r = 0; r < kRowTiles; ++r) {
          mma_m16n8k16<T>(s.fragments[r][n], a[r], b[0], b[1]);
          mma_m16n8k16<T>(s.fragments[r][n + 1], a[r], b[2], b[3]);
        }
      }
    }
  }

  // out += p other, with p rounded to T: where an mma leaves two neighbouring tiles of p, the next one wants its a.
  __device__ void multiply_add(Output& out, Scores& p, const unsigned char* other) const {
    const uint32_t other_address = shared_address(other);
#pragma unroll
    for (int k = 0; k < kColumns / 8; k += 2) {
      uint32_t a[kRowTiles][4];
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float* pair = p.fragments[r][k + i / 2] + i % 2 * 2;
          a[r][i] = pack<T>(pair[0], pair[1]);
        }
      }
#pragma unroll
      for (int n = 0; n < kPieces; n += 2) {
        uint32_t b[4];
        load_matrices_transposed(b, other_address + offset(k * 8 + lane % 16, n + lane / 16));
#pragma unroll
        for (int r = 0; r < kRowTiles; ++r) {
          mma_m16n8k16<T>(out.fragments[r][n], a[r], b[0], b[1]);
          mma_m16n8k16<T>(out.fragments[r][n + 1], a[r], b[2], b[3]);
        }
      }
    }
  }

  // Writes the warp's rows, as far as `to` has them. They go through the warp's rows of the own tile `staging`, which
  // nobody needs any more, so that a row leaves in whole sectors.
  __device__ void store(const HeadRows<T>& to, const Output& out, unsigned char* staging) const {
    __syncwarp();
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int n = 0; n < kPieces; ++n) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const float* pair = out.fragments[r][n] + half * 2;
          const int at = offset(first_row + r * 16 + half * 8 + lane / 4, n) + lane % 4 * 4;
          *reinterpret_cast<uint32_t*>(staging + at) = pack<T>(pair[0], pair[1]);
        }
      }
    }
    __syncwarp();
    for (int i = lane; i < kWarpRows * kPieces; i += kWarp) {
      const int r = first_row + i / kPieces, piece = i % kPieces, elements = min(to.columns - piece * 8, 8);
      if (r >= to.rows || elements <= 0) continue;
      T* target = to.data + r * to.stride + piece * 8;
      const unsigned char* source = staging + offset(r, piece);
      if (to.vectors) {
        *reinterpret_cast<uint4*>(target) = *reinterpret_cast<const uint4*>(source);
      } else {
        for (int e = 0; e < elements; ++e) target[e] = reinterpret_cast<const T*>(source)[e];
      }
    }
  }

 private:
  static constexpr int kPieces = kDim / 8;  // of a row
  static_assert(kPieces == 4 || kPieces % 8 == 0);

  __device__ static int offset(int row, int piece) {
    const int swizzle = kPieces == 4 ? row / 2 % 4 : row % 8;
    return (row * kPieces + (piece ^ swizzle)) * 16;
  }
};

}  // namespace aid::cuda
