// A task sums one group's rows over a block of columns in registers and adds them to the table once. The tasks of a
// group share nothing, so a table of two rows (token types) keeps many threads busy, too.
#include "kernels/lookup/group_by_row.h"

#include "kernels/cpu/simd.h"

namespace aid::AID_TARGET {
namespace {

constexpr int kVectors = 8;
constexpr int64_t kBlock = kVectors * kLanes;

// Adds group `group` over `width` columns from `column`: whole blocks in kVectors registers.
[[gnu::flatten]] void add_group(const AddGroups& a, int64_t group, int64_t column, int64_t width) {
  const int32_t *order = row_of<int32_t>(a.groups.order, 0), *first = row_of<int32_t>(a.groups.first, 0) + group;
  const int32_t *token = order + first[0], *last = order + first[1];
  float* out = row_of<float>(a.table, row_of<int32_t>(a.groups.row, 0)[group]) + column;
  const float* scale = a.scale.empty() ? nullptr : row_of<float>(a.scale, 0) + column;
  const auto add = [&](Vec sum, int64_t c, auto n) {
    if (scale != nullptr) sum *= load_n(scale + c, n);
    store_n(load_n(out + c, n) + sum, out + c, n);
  };
  if (width == kBlock) {
    Vec sum[kVectors];
    for (int i = 0; i < kVectors; ++i) sum[i] = 0.0f;
    for (; token < last; ++token) {
      const float* from = row_of<float>(a.dz, *token) + column;
      for (int i = 0; i < kVectors; ++i) sum[i] += load(from + i * kLanes);
    }
    for (int i = 0; i < kVectors; ++i) add(sum[i], i * kLanes, std::integral_constant<int, kLanes>());
    return;
  }
  for_vectors(width, [&](int64_t c, auto n) {
    Vec sum = 0.0f;
    for (const int32_t* t = token; t < last; ++t) sum += load_n(row_of<float>(a.dz, *t) + column + c, n);
    add(sum, c, n);
  });
}

}  // namespace

void add_groups(Stream& s, const AddGroups& a) {
  const int64_t cols = a.table.cols, blocks = (cols + kBlock - 1) / kBlock, units = a.groups.count * blocks;
  // A unit is a block of a group. Several make a task, for taking a task costs more than adding a row; but many more
  // tasks than threads, for groups are of unlike size.
  const int64_t units_per_task = 1 + units / (32 * s.threads());
  s.team().tasks((units + units_per_task - 1) / units_per_task, [&](int64_t task) {
    const int64_t last = (task + 1) * units_per_task < units ? (task + 1) * units_per_task : units;
    for (int64_t unit = task * units_per_task; unit < last; ++unit) {
      const int64_t group = unit / blocks, column = unit % blocks * kBlock;
      if (row_of<int32_t>(a.groups.row, 0)[group] == a.skipped) continue;
      add_group(a, group, column, cols - column < kBlock ? cols - column : kBlock);
    }
  });
}

}  // namespace aid::AID_TARGET
