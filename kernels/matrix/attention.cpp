#include "kernels/matrix/attention.h"

#include <algorithm>
#include <atomic>

#include "kernels/core/operands.h"
#include "kernels/matrix/attention_task.h"

namespace aid {
namespace {

constexpr int64_t kCacheLine = 64;
constexpr int kMaxHeads = 255;  // the head is the lower byte of its dropout site
constexpr int64_t kMaxHeadDim = 256;

// Checks what forward and backward have in common; returns the sizes of the largest sequence.
template <class Arguments>
AttentionShape check_inputs(const char* op, const Stream& s, const Arguments& a) {
  const int64_t queries = a.q.rows, keys = a.k.rows, cols = a.q.cols;
  AID_CHECK(a.heads > 0 && a.heads <= kMaxHeads && cols % a.heads == 0, op, ": ", cols, " columns for ", a.heads,
            " heads; expected 1 to ", kMaxHeads, " heads of equal width");
  AttentionShape shape = {.head_dim = cols / a.heads};
  AID_CHECK(shape.head_dim >= 1 && shape.head_dim <= kMaxHeadDim, op, ": heads of ", shape.head_dim,
            " columns; expected 1 to ", kMaxHeadDim);
  AID_CHECK(a.scale > 0, op, ": scale ", a.scale, "; expected more than 0");
  check_float(op, s, "q", a.q);
  check_operand(op, "q", a.q, queries, cols, a.q.dtype);
  check_operand(op, "k", a.k, keys, cols, a.q.dtype);
  check_operand(op, "v", a.v, keys, cols, a.q.dtype);
  check_operand(op, "out", a.out, queries, cols, a.q.dtype);
  check_dropout(op, a.dropout, a.row_ids, queries);
  AID_CHECK(!a.dropout.on() || a.dropout.site < 1u << 24, op, ": dropout site ", a.dropout.site,
            "; expected less than 2^24");
  AID_CHECK(a.cu_q.cols >= 1, op, ": cu_q is empty; expected one value more than sequences");
  const int64_t sequences = a.cu_q.cols - 1;
  check_operand(op, "cu_q", a.cu_q, 1, sequences + 1, DType::i32);
  check_operand(op, "cu_k", a.cu_k, 1, sequences + 1, DType::i32);
  const int32_t *cu_q = a.cu_q.template host_as<int32_t>(), *cu_k = a.cu_k.template host_as<int32_t>();
  AID_CHECK(cu_q[0] == 0 && cu_k[0] == 0 && cu_q[sequences] == queries && cu_k[sequences] == keys, op,
            ": cu_q goes from ", cu_q[0], " to ", cu_q[sequences], ", cu_k goes from ", cu_k[0], " to ",
            cu_k[sequences], "; expected 0 to ", queries, " and 0 to ", keys);
  for (int64_t i = 0; i < sequences; ++i) {
    const int64_t q = cu_q[i + 1] - cu_q[i], k = cu_k[i + 1] - cu_k[i];
    AID_CHECK(q >= 0 && k >= 0 && (k > 0 || q == 0), op, ": sequence ", i, " has ", q, " queries and ", k, " keys");
    shape.longest_q = std::max(shape.longest_q, q);
    shape.longest_k = std::max(shape.longest_k, k);
  }
  return shape;
}

// Multiplications and additions of one product of every query with every key of its sequence.
template <class Arguments>
int64_t product_flops(const Arguments& a) {
  const int32_t *cu_q = a.cu_q.template host_as<int32_t>(), *cu_k = a.cu_k.template host_as<int32_t>();
  int64_t pairs = 0;
  for (int64_t i = 0; i + 1 < a.cu_q.cols; ++i) pairs += int64_t{cu_q[i + 1] - cu_q[i]} * (cu_k[i + 1] - cu_k[i]);
  return 2 * pairs * a.q.cols;
}

// Runs a task for every (sequence, head); every worker has scratch memory of its own.
template <class Arguments>
void run_tasks(Stream& s, const Arguments& a, const AttentionShape& shape, const AttentionTask<Arguments>& task) {
  const int64_t count = (a.cu_q.cols - 1) * a.heads, workers = std::min<int64_t>(s.threads(), count);
  const Arena::Mark mark = s.arena().mark();
  const int64_t lines = static_cast<int64_t>(task.scratch_bytes(shape)) / kCacheLine + 1;
  const Span scratch = s.arena().take(DType::i8, workers, lines * kCacheLine);
  std::atomic<int64_t> next{0};
  s.team().tasks(workers, [&](int64_t worker) {
    void* memory = scratch.row_slice(worker, worker + 1).data;
    for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) task.run(a, i / a.heads, i % a.heads, memory);
  });
  s.arena().rewind(mark);
}

}  // namespace

void attention_forward(Stream& s, const AttentionForward& a) {
  constexpr const char* kOp = "attention_forward";
  const AttentionShape shape = check_inputs(kOp, s, a);
  check_optional(kOp, "lse", a.lse, a.q.rows, a.heads, DType::f32);
  const ProfileScope scope(s.profiler(),
                           {.op = kOp,
                            .bytes = a.q.bytes() + a.k.bytes() + a.v.bytes() + a.out.bytes() + a.lse.bytes(),
                            .flops = 2 * product_flops(a)});
  if (s.target() == Target::cuda) {
    void (*const on_gpu)(Stream&, const AttentionForward&, const AttentionShape&) = AID_CUDA_KERNEL(attention_forward);
    return on_gpu(s, a, shape);
  }
  run_tasks(s, a, shape,
            s.target() == Target::cpu_amx
                ? cpu_amx::attention_forward_task
                : *select(s, &cpu_avx2::attention_forward_task, &cpu_avx512::attention_forward_task,
                          &cpu_avx512_bf16::attention_forward_task));
}

void attention_backward(Stream& s, const AttentionBackward& a) {
  constexpr const char* kOp = "attention_backward";
  const AttentionShape shape = check_inputs(kOp, s, a);
  check_operand(kOp, "lse", a.lse, a.q.rows, a.heads, DType::f32);
  check_operand(kOp, "dout", a.dout, a.q.rows, a.q.cols, a.q.dtype);
  check_operand(kOp, "dq", a.dq, a.q.rows, a.q.cols, a.q.dtype);
  check_operand(kOp, "dk", a.dk, a.k.rows, a.q.cols, a.q.dtype);
  check_operand(kOp, "dv", a.dv, a.k.rows, a.q.cols, a.q.dtype);
  const ProfileScope scope(
      s.profiler(),
      {.op = kOp, .bytes = 4 * (a.q.bytes() + a.k.bytes()) + a.lse.bytes(), .flops = 5 * product_flops(a)});
  if (s.target() == Target::cuda) {
    void (*const on_gpu)(Stream&, const AttentionBackward&, const AttentionShape&) =
        AID_CUDA_KERNEL(attention_backward);
    return on_gpu(s, a, shape);
  }
  run_tasks(s, a, shape,
            s.target() == Target::cpu_amx
                ? cpu_amx::attention_backward_task
                : *select(s, &cpu_avx2::attention_backward_task, &cpu_avx512::attention_backward_task,
                          &cpu_avx512_bf16::attention_backward_task));
}

}  // namespace aid
