// Lookups grouped by the row of a table that they read, for the table's gradient: no atomics, and a sum's order is that
// of the lookups.
#pragma once

#include "kernels/core/stream.h"

namespace aid {

// Group g has the lookups of row row[g]: those of the tokens order[first[g]] .. order[first[g + 1] - 1], ascending.
// Groups come in ascending order of rows. Memory is the arena's.
struct RowGroups {
  int64_t count = 0;
  CSpan row;    // i32 [count]
  CSpan first;  // i32 [count + 1]
  CSpan order;  // i32 [lookups]
};

// ids: i32 [lookups], each in [0, rows), read by the host; a token has `lookups_of_token` of them, one after the other.
// A counting sort: O(lookups + rows).
RowGroups group_by_row(Stream& s, const CSpan& ids, int64_t rows, int64_t lookups_of_token = 1);

// table[row[g]] += scale * (the sum of dz over the tokens of group g), for every group but that of row `skipped`.
struct AddGroups {
  Span table;  // f32 [rows, cols]
  CSpan dz;    // f32 [tokens, cols]
  RowGroups groups;
  int64_t skipped = -1;
  CSpan scale;  // f32 [cols], or empty: 1
};
void add_groups(Stream& s, const AddGroups& a);

}  // namespace aid
