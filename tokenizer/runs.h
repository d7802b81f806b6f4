#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace aid::tokenizer {

/// A run of code points with the same record, up to the next run's first: what the tables of characters are made of.
struct Run {
  char32_t first;
  uint8_t record;
};

/// The record of each of the 0x110000 code points.
template <size_t kCount>
std::vector<uint8_t> expand_runs(const Run (&runs)[kCount]) {
  constexpr char32_t kCodePoints = 0x110000;
  std::vector<uint8_t> record_of(kCodePoints);
  for (size_t i = 0; i < kCount; ++i) {
    const char32_t end = i + 1 < kCount ? runs[i + 1].first : kCodePoints;
    std::fill(record_of.begin() + runs[i].first, record_of.begin() + end, runs[i].record);
  }
  return record_of;
}

}  // namespace aid::tokenizer
