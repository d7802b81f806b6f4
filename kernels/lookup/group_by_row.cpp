#include "kernels/lookup/group_by_row.h"

#include <utility>
#include <vector>

namespace aid {

TokenGroups group_by_row(Stream& s, const CSpan& ids, int64_t rows) {
  const int64_t tokens = ids.cols;
  const auto* id = ids.host_as<int32_t>();
  std::vector<int32_t> next(static_cast<size_t>(rows), 0);  // counts, then where a row's next token goes
  std::vector<int32_t> groups(static_cast<size_t>(3 * tokens + 1));
  int32_t *const row = groups.data(), *const order = row + tokens, *const first = order + tokens;
  for (int64_t token = 0; token < tokens; ++token) ++next[static_cast<size_t>(id[token])];
  int64_t count = 0;
  int32_t place = 0;
  for (int64_t r = 0; r < rows; ++r) {
    int32_t& tokens_of_row = next[static_cast<size_t>(r)];
    if (tokens_of_row == 0) continue;
    row[count] = static_cast<int32_t>(r);
    first[count++] = place;
    place += std::exchange(tokens_of_row, place);
  }
  first[count] = place;
  for (int64_t token = 0; token < tokens; ++token) {
    order[next[static_cast<size_t>(id[token])]++] = static_cast<int32_t>(token);
  }
  // All of it, however many groups there are: batches of one shape take as much of the arena.
  const CSpan uploaded = s.upload(vector(std::as_const(groups).data(), 3 * tokens + 1));
  return {.count = count,
          .row = uploaded.col_slice(0, count),
          .first = uploaded.col_slice(2 * tokens, 2 * tokens + count + 1),
          .order = uploaded.col_slice(tokens, 2 * tokens)};
}

}  // namespace aid
