#include "bench/kernels/roofline.h"
#include "kernels/elements/cast.h"
#include "kernels/elements/dropout.h"
#include "kernels/lookup/gather_rows.h"
#include "kernels/rows/cross_entropy.h"

namespace aid::bench {
namespace {

template <DType kType>
void dropout_bench(benchmark::State& state) {
  const int64_t rows = state.range(0), cols = 768;
  const Tensor x = filled(kType, rows, cols), y = filled(kType, rows, cols), ids = filled(DType::i32, 1, rows);
  run(state, [&](Stream& s) { dropout_forward(s, {.y = y, .x = x, .dropout = {.p = 0.1f}, .row_ids = ids}); });
}
BENCHMARK(dropout_bench<DType::f32>)->Arg(128)->Arg(1024)->Arg(4096)->UseRealTime();
BENCHMARK(dropout_bench<DType::bf16>)->Arg(128)->Arg(1024)->Arg(4096)->UseRealTime();

template <DType kFrom, DType kTo>
void cast_bench(benchmark::State& state) {
  const Tensor x = filled(kFrom, state.range(0), 768), y = filled(kTo, state.range(0), 768);
  run(state, [&](Stream& s) { cast(s, {.y = y, .x = x}); });
}
BENCHMARK(cast_bench<DType::f32, DType::bf16>)->Arg(1024)->Arg(4096)->UseRealTime();
BENCHMARK(cast_bench<DType::bf16, DType::f32>)->Arg(1024)->Arg(4096)->UseRealTime();

void gather_rows_bench(benchmark::State& state) {
  const int64_t rows = 4096, picked = state.range(0);
  const Tensor x = filled(DType::f32, rows, 768), y = filled(DType::f32, picked, 768);
  const Tensor index = filled(DType::i32, 1, picked);
  run(state, [&](Stream& s) { gather_rows(s, {.y = y, .x = x, .index = index}); });
}
BENCHMARK(gather_rows_bench)->Arg(32)->Arg(1024)->UseRealTime();

void cross_entropy_bench(benchmark::State& state) {
  const int64_t rows = state.range(0), classes = 20;
  const Tensor logits = filled(DType::f32, rows, classes), dlogits = filled(DType::f32, rows, classes);
  const Tensor labels = Tensor::zeros(DType::i32, 1, rows);
  float loss = 0;
  run(state, [&](Stream& s) {
    cross_entropy(s, {.loss = vector(&loss, 1), .dlogits = dlogits, .logits = logits, .labels = labels});
  });
}
BENCHMARK(cross_entropy_bench)->Arg(32)->Arg(1024)->UseRealTime();

}  // namespace
}  // namespace aid::bench
