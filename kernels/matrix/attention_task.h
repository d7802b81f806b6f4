// What attention.cpp asks of a target: the work of one (sequence, head), in scratch memory that one worker reuses.
#pragma once

#include "kernels/matrix/attention.h"

namespace aid {

// The largest task of a call.
struct AttentionShape {
  int64_t head_dim, longest_q, longest_k;
};

struct AttentionTasks {
  size_t (*forward_scratch_bytes)(const AttentionShape&);
  void (*forward)(const AttentionForward&, int64_t sequence, int64_t head, void* scratch);
  size_t (*backward_scratch_bytes)(const AttentionShape&);
  void (*backward)(const AttentionBackward&, int64_t sequence, int64_t head, void* scratch);
};

namespace cpu_avx2 {
extern const AttentionTasks kAttentionTasks;
}
namespace cpu_avx512 {
extern const AttentionTasks kAttentionTasks;
}
namespace cpu_avx512_bf16 {
extern const AttentionTasks kAttentionTasks;
}

}  // namespace aid
