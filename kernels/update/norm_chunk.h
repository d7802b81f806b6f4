// How global_norm's vectors are cut: a chunk is summed in f32, the chunks' sums in f64, in their order.
#pragma once

#include <cstdint>

namespace aid {

inline constexpr int64_t kNormChunk = 1 << 14;

struct NormChunk {
  const float* x;
  int64_t size;  // at most kNormChunk
};

}  // namespace aid
