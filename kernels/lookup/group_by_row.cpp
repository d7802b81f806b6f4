#include "kernels/lookup/group_by_row.h"

#include <utility>
#include <vector>

namespace aid {

using AddGroupsFn = void(Stream&, const AddGroups&);
namespace cpu_avx2 {
AddGroupsFn add_groups;
}  // namespace cpu_avx2
namespace cpu_avx512 {
AddGroupsFn add_groups;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
AddGroupsFn add_groups;
}  // namespace cpu_avx512_bf16
namespace cuda {
AddGroupsFn add_groups;
}  // namespace cuda

RowGroups group_by_row(Stream& s, const CSpan& ids, int64_t rows, int64_t lookups_of_token) {
  const int64_t lookups = ids.cols;
  const auto* id = ids.host_as<int32_t>();
  std::vector<int32_t> next(static_cast<size_t>(rows), 0);  // counts, then where a row's next lookup goes
  std::vector<int32_t> groups(static_cast<size_t>(3 * lookups + 1));
  int32_t *const row = groups.data(), *const order = row + lookups, *const first = order + lookups;
  for (int64_t i = 0; i < lookups; ++i) ++next[static_cast<size_t>(id[i])];
  int64_t count = 0;
  int32_t place = 0;
  for (int64_t r = 0; r < rows; ++r) {
    int32_t& lookups_of_row = next[static_cast<size_t>(r)];
    if (lookups_of_row == 0) continue;
    row[count] = static_cast<int32_t>(r);
    first[count++] = place;
    place += std::exchange(lookups_of_row, place);
  }
  first[count] = place;
  for (int64_t i = 0; i < lookups; ++i) {
    order[next[static_cast<size_t>(id[i])]++] = static_cast<int32_t>(i / lookups_of_token);
  }
  // All of it, however many groups there are: batches of one shape take as much of the arena.
  const CSpan uploaded = s.upload(vector(std::as_const(groups).data(), 3 * lookups + 1));
  return {.count = count,
          .row = uploaded.col_slice(0, count),
          .first = uploaded.col_slice(2 * lookups, 2 * lookups + count + 1),
          .order = uploaded.col_slice(lookups, 2 * lookups)};
}

void add_groups(Stream& s, const AddGroups& a) {
  select(s, cpu_avx2::add_groups, cpu_avx512::add_groups, cpu_avx512_bf16::add_groups, AID_CUDA_KERNEL(add_groups))(s,
                                                                                                                    a);
}

}  // namespace aid
