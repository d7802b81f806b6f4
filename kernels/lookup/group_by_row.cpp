#include "kernels/lookup/group_by_row.h"

#include <algorithm>
#include <utility>

namespace aid {

TokenGroups group_by_row(Arena& arena, const CSpan& ids, int64_t rows) {
  const int64_t tokens = ids.cols;
  const auto* id = ids.as<int32_t>();
  auto* next = arena.take(DType::i32, rows).as<int32_t>();  // counts, then where a row's next token goes
  auto* row = arena.take(DType::i32, tokens).as<int32_t>();
  auto* first = arena.take(DType::i32, tokens + 1).as<int32_t>();
  auto* order = arena.take(DType::i32, tokens).as<int32_t>();
  std::fill_n(next, rows, 0);
  for (int64_t token = 0; token < tokens; ++token) ++next[id[token]];
  int64_t groups = 0;
  int32_t place = 0;
  for (int64_t r = 0; r < rows; ++r) {
    if (next[r] == 0) continue;
    row[groups] = static_cast<int32_t>(r);
    first[groups++] = place;
    place += std::exchange(next[r], place);
  }
  first[groups] = place;
  for (int64_t token = 0; token < tokens; ++token) order[next[id[token]]++] = static_cast<int32_t>(token);
  return {groups, row, first, order};
}

}  // namespace aid
