// Tokens grouped by the row of a table that they look up, for the table's gradient.
#pragma once

#include "kernels/core/stream.h"

namespace aid {

// Group g has the tokens order[first[g]] .. order[first[g + 1] - 1], ascending; all of them look up row row[g]. Groups
// come in ascending order of rows. Memory is the arena's.
struct TokenGroups {
  int64_t count = 0;
  CSpan row;    // i32 [count]
  CSpan first;  // i32 [count + 1]
  CSpan order;  // i32 [tokens]
};

// ids: i32 [tokens], each in [0, rows), read by the host. A counting sort: O(tokens + rows).
TokenGroups group_by_row(Stream& s, const CSpan& ids, int64_t rows);

}  // namespace aid
