// A block sums one group's rows of dz over a run of columns and adds them to the table once.
#include "kernels/lookup/group_by_row.h"

#include "kernels/device/column_sums.cuh"
#include "kernels/device/launch.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {
namespace {

constexpr int kWide = 4;
constexpr int kGroupWarps = 4;
constexpr int kTokensAtOnce = 4;  // of a warp

// Block (x, y): the 32 kWidth columns from 32 kWidth x of group y + groups before. Warp w sums the group's tokens w,
// w + 4, ...
template <int kWidth>
__global__ void __launch_bounds__(kGroupWarps* kWarp) add_groups_kernel(AddGroups a) {
  __shared__ __align__(16) float sums[kGroupWarps][kWarp * kWidth];
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t column = (int64_t{blockIdx.x} * kWarp + lane) * kWidth;
  const int32_t *order = row_of<int32_t>(a.groups.order, 0), *first = row_of<int32_t>(a.groups.first, 0);
  for (int64_t group = blockIdx.y; group < a.groups.count; group += gridDim.y) {
    const int32_t row = row_of<int32_t>(a.groups.row, 0)[group];
    if (row == a.skipped) continue;  // the whole block
    const auto add = [](const float(&more)[kWidth], float(&to)[kWidth]) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) to[i] += more[i];
    };
    float total[kWidth] = {};
    const int32_t end = first[group + 1];
    if (column < a.table.cols) {
      for (int32_t i = first[group] + warp; i < end; i += kGroupWarps * kTokensAtOnce) {
        float value[kTokensAtOnce][kWidth];  // all under way before the first is added
#pragma unroll
        for (int t = 0; t < kTokensAtOnce; ++t) {
          const int32_t at = i + t * kGroupWarps;
          if (at < end) load(row_of<float>(a.dz, order[at]) + column, value[t]);
        }
#pragma unroll
        for (int t = 0; t < kTokensAtOnce; ++t) {
          if (i + t * kGroupWarps < end) add(value[t], total);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kWidth; ++i) sums[warp][lane * kWidth + i] = total[i];
    __syncthreads();
    if (warp == 0 && column < a.table.cols) {
#pragma unroll
      for (int w = 1; w < kGroupWarps; ++w) {
        float more[kWidth];
        load(sums[w] + lane * kWidth, more);
        add(more, total);
      }
      if (a.scale.data != nullptr) {
        float scale[kWidth];
        load(row_of<float>(a.scale, 0) + column, scale);
#pragma unroll
        for (int i = 0; i < kWidth; ++i) total[i] *= scale[i];
      }
      float* to = row_of<float>(a.table, row) + column;
      float before[kWidth];
      load(to, before);
      add(before, total);
      store(total, to);
    }
    __syncthreads();
  }
}

}  // namespace

void add_groups(Stream& s, const AddGroups& a) {
  constexpr int64_t kMostBlocks = 65535;
  const RowGroups& groups = a.groups;
  if (groups.count == 1 && groups.order.cols == a.dz.rows && a.scale.empty()) {
    // All tokens, in their order: the token types of texts without a pair. One group would keep few blocks busy.
    const int32_t row = groups.row.host_as<int32_t>()[0];
    if (row != a.skipped) add_column_sums(s, {.first = a.table.row_slice(row, row + 1), .x = a.dz});
    return;
  }
  const bool wide = a.table.cols % kWide == 0 && vectors_fit(kWide, a.table, a.dz, a.scale);
  const int columns = kWarp * (wide ? kWide : 1);
  launch(s, wide ? add_groups_kernel<kWide> : add_groups_kernel<1>,
         {.grid = dim3(blocks_for(a.table.cols, columns), static_cast<unsigned>(std::min(groups.count, kMostBlocks))),
          .block = kGroupWarps * kWarp},
         a);
}

}  // namespace aid::cuda
