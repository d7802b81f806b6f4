// What attention.cpp asks of a target: the work of one (sequence, head), in scratch memory that one worker reuses.
#pragma once

#include "kernels/matrix/attention.h"

namespace aid {

// The largest task of a call.
struct AttentionShape {
  int64_t head_dim = 0, longest_q = 0, longest_k = 0;
};

template <class Arguments>
struct AttentionTask {
  size_t (*scratch_bytes)(const AttentionShape&);
  void (*run)(const Arguments&, int64_t sequence, int64_t head, void* scratch);
};

namespace cpu_avx2 {
extern const AttentionTask<AttentionForward> attention_forward_task;
extern const AttentionTask<AttentionBackward> attention_backward_task;
}  // namespace cpu_avx2
namespace cpu_avx512 {
extern const AttentionTask<AttentionForward> attention_forward_task;
extern const AttentionTask<AttentionBackward> attention_backward_task;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
extern const AttentionTask<AttentionForward> attention_forward_task;
extern const AttentionTask<AttentionBackward> attention_backward_task;
}  // namespace cpu_avx512_bf16
namespace cpu_amx {
extern const AttentionTask<AttentionForward> attention_forward_task;
extern const AttentionTask<AttentionBackward> attention_backward_task;
}  // namespace cpu_amx
namespace cuda {
// On a GPU all tasks are one kernel's (backward: two kernels').
void attention_forward(Stream& s, const AttentionForward& a, const AttentionShape& shape);
void attention_backward(Stream& s, const AttentionBackward& a, const AttentionShape& shape);
}  // namespace cuda

}  // namespace aid
