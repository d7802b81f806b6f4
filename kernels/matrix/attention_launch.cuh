// The host's side of attention's CUDA kernels: which tiles, how many blocks, arguments.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <type_traits>

#include "kernels/device/launch.cuh"
#include "kernels/matrix/attention_device.cuh"
#include "kernels/matrix/attention_fma.cuh"
#include "kernels/matrix/attention_mma.cuh"
#include "kernels/matrix/attention_task.h"

namespace aid::cuda {

constexpr int kAttentionWarps = 4, kAttentionThreads = kAttentionWarps * kWarp;  // of a block, at most

// Calls f(std::type_identity<Tiles>()) with the narrowest tiles that a head fits in. Mma<T, kDim> are those on tensor
// cores.
template <template <class, int> class Mma, class F>
void with_tiles(DType dtype, int64_t head_dim, const F& f) {
  const auto for_half = [&]<class T>(T) {
    if (head_dim <= 32) {
      f(std::type_identity<Mma<T, 32>>());
    } else if (head_dim <= 64) {
      f(std::type_identity<Mma<T, 64>>());
    } else if (head_dim <= 128) {
      f(std::type_identity<Mma<T, 128>>());
    } else {
      f(std::type_identity<FmaTiles<T, 256, 2, 16>>());
    }
  };
  if (dtype == DType::bf16) return for_half(bf16());
  if (dtype == DType::f16) return for_half(f16());
  if (head_dim <= 64) {
    f(std::type_identity<FmaTiles<float, 64, 4>>());
  } else if (head_dim <= 128) {
    f(std::type_identity<FmaTiles<float, 128, 4>>());
  } else {
    f(std::type_identity<FmaTiles<float, 256, 2, 16>>());
  }
}

// Blocks of a kernel that gives each block some of `longest` rows of a sequence. Blocks behind the end of a shorter
// sequence have nothing to do, which costs less than a list of those that have.
struct AttentionBlocks {
  int rows;          // of a block
  unsigned threads;  // of a block
  int tiles;         // of the longest sequence
  int64_t sequences;
  int heads;

  dim3 grid() const { return dim3(static_cast<unsigned>(tiles * sequences), static_cast<unsigned>(heads)); }
};
template <class Tiles, class Arguments>
AttentionBlocks blocks_of(const Arguments& a, int64_t longest) {
  const auto warps = std::clamp<int64_t>((longest + Tiles::kWarpRows - 1) / Tiles::kWarpRows, 1, kAttentionWarps);
  const int64_t rows = warps * Tiles::kWarpRows;
  return {.rows = static_cast<int>(rows),
          .threads = static_cast<unsigned>(warps) * kWarp,
          .tiles = static_cast<int>((longest + rows - 1) / rows),
          .sequences = a.cu_q.cols - 1,
          .heads = a.heads};
}

template <class T>
HeadMatrix<T> head_matrix(const std::conditional_t<std::is_const_v<T>, CSpan, Span>& m) {
  return {m.template as<std::remove_const_t<T>>(), m.stride};
}

template <class Arguments>
AttentionArguments common_arguments(const Arguments& a, const AttentionBlocks& blocks,
                                    std::initializer_list<CSpan> operands) {
  const int64_t head_dim = a.q.cols / a.heads, elements = 16 / static_cast<int64_t>(size_of(a.q.dtype));
  bool vectors = head_dim % elements == 0;
  for (const CSpan& operand : operands) vectors &= vectors_fit(elements, operand);
  return {.cu_q = a.cu_q.template as<int32_t>(),
          .cu_k = a.cu_k.template as<int32_t>(),
          .head_dim = static_cast<int>(head_dim),
          .tiles = blocks.tiles,
          .vectors = vectors,
          .scale = a.scale,
          .dropout = DropoutKernel(a.dropout),
          .row_ids = a.dropout.on() ? a.row_ids.template as<int32_t>() : nullptr};
}

}  // namespace aid::cuda
