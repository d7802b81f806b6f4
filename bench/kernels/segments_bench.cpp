// What reads or reduces the rows of documents: expand_window, segment_reduce, parametric_attention.
#include "bench/kernels/roofline.h"
#include "kernels/rows/expand_window.h"
#include "kernels/rows/parametric_attention.h"
#include "kernels/rows/segment_reduce.h"

namespace aid::bench {
namespace {

constexpr int64_t kLength = 200, kColumns = 96;  // of a document

void expand_window_forward_bench(benchmark::State& state) {
  const int64_t rows = state.range(0) * kLength;
  const Tensor x = filled(DType::f32, rows, kColumns), y = filled(DType::f32, rows, 3 * kColumns);
  run(state, [&](Stream& s) { expand_window_forward(s, {.y = y, .x = x, .window = 1}); });
}

void expand_window_backward_bench(benchmark::State& state) {
  const int64_t rows = state.range(0) * kLength;
  const Tensor dx = filled(DType::f32, rows, kColumns), dy = filled(DType::f32, rows, 3 * kColumns);
  run(state, [&](Stream& s) { expand_window_backward(s, {.dx = dx, .dy = dy, .window = 1}); });
}

template <Reduction kReduction>
void segment_reduce_forward_bench(benchmark::State& state) {
  const int64_t documents = state.range(0);
  const Tensor x = filled(DType::f32, documents * kLength, kColumns), y = filled(DType::f32, documents, kColumns);
  const Tensor first = equal_segments(documents, kLength);
  run(state, [&](Stream& s) { segment_reduce_forward(s, {.y = y, .x = x, .first = first, .reduction = kReduction}); });
}

template <Reduction kReduction>
void segment_reduce_backward_bench(benchmark::State& state) {
  const int64_t documents = state.range(0);
  const Tensor dx = filled(DType::f32, documents * kLength, kColumns), dy = filled(DType::f32, documents, kColumns);
  const Tensor which = Tensor::zeros(DType::i32, documents, kColumns), first = equal_segments(documents, kLength);
  run(state, [&](Stream& s) {
    segment_reduce_backward(s, {.dx = dx, .dy = dy, .which = which, .first = first, .reduction = kReduction});
  });
}

// Keys are x.
void parametric_attention_forward_bench(benchmark::State& state) {
  const int64_t documents = state.range(0), rows = documents * kLength;
  const Tensor x = filled(DType::f32, rows, kColumns), y = filled(DType::f32, documents, kColumns);
  const Tensor weights = filled(DType::f32, 1, rows), query = filled(DType::f32, 1, kColumns);
  const Tensor first = equal_segments(documents, kLength);
  run(state, [&](Stream& s) {
    parametric_attention_forward(s, {.y = y, .weights = weights, .x = x, .keys = x, .query = query, .first = first});
  });
}

void parametric_attention_backward_bench(benchmark::State& state) {
  const int64_t documents = state.range(0), rows = documents * kLength;
  const Tensor x = filled(DType::f32, rows, kColumns), dx = filled(DType::f32, rows, kColumns);
  const Tensor dy = filled(DType::f32, documents, kColumns), query = filled(DType::f32, 1, kColumns);
  const Tensor weights = Tensor::zeros(DType::f32, 1, rows), dquery = Tensor::zeros(DType::f32, 1, kColumns);
  const Tensor first = equal_segments(documents, kLength);
  run(state, [&](Stream& s) {
    parametric_attention_backward(
        s,
        {.dx = dx, .dquery = dquery, .dy = dy, .x = x, .keys = x, .query = query, .weights = weights, .first = first});
  });
}

void documents(benchmark::internal::Benchmark* b) { b->Arg(16)->Arg(256)->UseRealTime(); }
BENCHMARK(expand_window_forward_bench)->Apply(documents);
BENCHMARK(expand_window_backward_bench)->Apply(documents);
BENCHMARK(segment_reduce_forward_bench<Reduction::mean>)->Apply(documents);
BENCHMARK(segment_reduce_forward_bench<Reduction::max>)->Apply(documents);
BENCHMARK(segment_reduce_backward_bench<Reduction::mean>)->Apply(documents);
BENCHMARK(segment_reduce_backward_bench<Reduction::max>)->Apply(documents);
BENCHMARK(parametric_attention_forward_bench)->Apply(documents);
BENCHMARK(parametric_attention_backward_bench)->Apply(documents);

}  // namespace
}  // namespace aid::bench
