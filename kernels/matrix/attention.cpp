#include "kernels/matrix/attention.h"

#include <algorithm>
#include <atomic>

#include "kernels/matrix/attention_task.h"

namespace aid {
namespace {

constexpr int64_t kCacheLine = 64;

// Checks what forward and backward have in common; returns the largest sequence's sizes.
template <class Arguments>
AttentionShape check_inputs(const char* op, const Arguments& a) {
  AID_CHECK(a.heads > 0 && a.heads < 256 && a.q.cols % a.heads == 0, op, ": ", a.q.cols, " columns for ", a.heads,
            " heads; expected 1 to 255 heads of equal width");
  const int64_t head_dim = a.q.cols / a.heads;
  AID_CHECK(head_dim >= 1 && head_dim <= 256, op, ": heads of ", head_dim, " columns; expected 1 to 256");
  AID_CHECK(a.scale > 0, op, ": scale ", a.scale, "; expected more than 0");
  AID_CHECK(a.q.dtype == DType::f32 || a.q.dtype == DType::bf16, op, ": q holds ", name_of(a.q.dtype),
            "; expected f32 or bf16");
  AID_CHECK(a.k.dtype == a.q.dtype && a.v.dtype == a.q.dtype && a.out.dtype == a.q.dtype, op, ": q holds ",
            name_of(a.q.dtype), ", k ", name_of(a.k.dtype), ", v ", name_of(a.v.dtype), ", out ", name_of(a.out.dtype),
            "; expected one type");
  AID_CHECK(a.k.cols == a.q.cols && a.v.cols == a.q.cols && a.out.cols == a.q.cols, op, ": q has ", a.q.cols,
            " columns, k ", a.k.cols, ", v ", a.v.cols, ", out ", a.out.cols, "; expected the same");
  AID_CHECK(a.v.rows == a.k.rows && a.out.rows == a.q.rows, op, ": q has ", a.q.rows, " rows and out ", a.out.rows,
            ", k ", a.k.rows, " and v ", a.v.rows, "; expected pairs of equal number");
  AID_CHECK(a.lse.empty() || (a.lse.dtype == DType::f32 && a.lse.rows == a.q.rows && a.lse.cols == a.heads), op,
            ": lse is ", name_of(a.lse.dtype), " ", a.lse.rows, " x ", a.lse.cols, "; expected f32 ", a.q.rows, " x ",
            a.heads);
  if (a.dropout.on()) {
    AID_CHECK(a.dropout.p < 1, op, ": dropout ", a.dropout.p, "; expected less than 1");
    AID_CHECK(a.dropout.site < 1u << 24, op, ": dropout site ", a.dropout.site, "; expected less than 2^24");
    AID_CHECK(a.row_ids.dtype == DType::i32 && a.row_ids.rows == 1 && a.row_ids.cols == a.q.rows, op, ": ",
              a.row_ids.size(), " row ids for ", a.q.rows, " queries; dropout needs one i32 per query");
  }
  AID_CHECK(a.cu_q.rows == 1 && a.cu_k.rows == 1 && a.cu_q.cols == a.cu_k.cols && a.cu_q.cols >= 1, op, ": cu_q has ",
            a.cu_q.size(), " values, cu_k ", a.cu_k.size(), "; expected one more than sequences in both");
  const int32_t *cu_q = a.cu_q.template as<int32_t>(), *cu_k = a.cu_k.template as<int32_t>();
  const int64_t sequences = a.cu_q.cols - 1;
  AID_CHECK(cu_q[0] == 0 && cu_k[0] == 0 && cu_q[sequences] == a.q.rows && cu_k[sequences] == a.k.rows, op,
            ": cu_q goes from ", cu_q[0], " to ", cu_q[sequences], ", cu_k from ", cu_k[0], " to ", cu_k[sequences],
            "; expected 0 to ", a.q.rows, " and 0 to ", a.k.rows);
  AttentionShape shape = {head_dim, 0, 0};
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
  const int32_t *cu_q = a.cu_q.template as<int32_t>(), *cu_k = a.cu_k.template as<int32_t>();
  int64_t pairs = 0;
  for (int64_t i = 0; i + 1 < a.cu_q.cols; ++i) pairs += int64_t{cu_q[i + 1] - cu_q[i]} * (cu_k[i + 1] - cu_k[i]);
  return 2 * pairs * a.q.cols;
}

// Runs task(sequence, head, scratch) for all of them; every worker has scratch memory of its own.
template <class Arguments>
void run_tasks(Stream& s, const Arguments& a, size_t scratch_bytes,
               void (*task)(const Arguments&, int64_t, int64_t, void*)) {
  const int64_t count = (a.cu_q.cols - 1) * a.heads, workers = std::min<int64_t>(s.threads(), count);
  const Arena::Mark mark = s.arena().mark();
  const int64_t bytes = static_cast<int64_t>(scratch_bytes) + kCacheLine;
  const Span scratch = s.arena().take(DType::i8, workers, bytes / kCacheLine * kCacheLine);
  std::atomic<int64_t> next{0};
  s.team().tasks(workers, [&](int64_t worker) {
    for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      task(a, i / a.heads, i % a.heads, scratch.row_slice(worker, worker + 1).data);
    }
  });
  s.arena().rewind(mark);
}

const AttentionTasks& tasks_of(const Stream& s) {
  return *select(s, &cpu_avx2::kAttentionTasks, &cpu_avx512::kAttentionTasks, &cpu_avx512_bf16::kAttentionTasks);
}

}  // namespace

void attention_forward(Stream& s, const AttentionForward& a) {
  const AttentionShape shape = check_inputs("attention_forward", a);
  if (shape.longest_q == 0) return;
  ProfileScope scope(s.profiler(), {.op = "attention_forward",
                                    .bytes = a.q.bytes() + a.k.bytes() + a.v.bytes() + a.out.bytes() + a.lse.bytes(),
                                    .flops = 2 * product_flops(a)});
  const AttentionTasks& tasks = tasks_of(s);
  run_tasks(s, a, tasks.forward_scratch_bytes(shape), tasks.forward);
}

void attention_backward(Stream& s, const AttentionBackward& a) {
  const AttentionShape shape = check_inputs("attention_backward", a);
  AID_CHECK(!a.lse.empty(), "attention_backward: no lse; attention_forward must have written it");
  const auto same = [](const CSpan& x, const CSpan& y) {
    return x.dtype == y.dtype && x.rows == y.rows && x.cols == y.cols;
  };
  AID_CHECK(same(a.dout, a.q) && same(a.dq, a.q) && same(a.dk, a.k) && same(a.dv, a.v),
            "attention_backward: dout ", a.dout.rows, " x ", a.dout.cols, ", dq ", a.dq.rows, " x ", a.dq.cols, ", dk ",
            a.dk.rows, " x ", a.dk.cols, ", dv ", a.dv.rows, " x ", a.dv.cols, "; expected the shapes and type of q (",
            a.q.rows, " x ", a.q.cols, "), q, k (", a.k.rows, " x ", a.k.cols, ") and v");
  if (shape.longest_k == 0) return;
  ProfileScope scope(s.profiler(), {.op = "attention_backward",
                                    .bytes = 4 * a.q.bytes() + 4 * a.k.bytes() + a.lse.bytes(),
                                    .flops = 5 * product_flops(a)});
  const AttentionTasks& tasks = tasks_of(s);
  run_tasks(s, a, tasks.backward_scratch_bytes(shape), tasks.backward);
}

}  // namespace aid
