#include "kernels/rows/residual_layer_norm.h"

#include "bench/kernels/roofline.h"

namespace aid::bench {
namespace {

// Arguments: rows, per cent of dropout. 768 columns.
template <DType kType>
void residual_layer_norm_forward_bench(benchmark::State& state) {
  const int64_t rows = state.range(0), cols = 768;
  const Tensor x = filled(kType, rows, cols), delta = filled(kType, rows, cols), z = filled(kType, rows, cols);
  const Tensor y = filled(kType, rows, cols), gamma = filled(DType::f32, 1, cols), beta = filled(DType::f32, 1, cols);
  const Tensor mean = filled(DType::f32, 1, rows), rstd = filled(DType::f32, 1, rows);
  const Tensor ids = filled(DType::i32, 1, rows);
  run(state, [&](Stream& s) {
    residual_layer_norm_forward(s, {.y = y,
                                    .z = z,
                                    .mean = mean,
                                    .rstd = rstd,
                                    .x = x,
                                    .delta = delta,
                                    .gamma = gamma,
                                    .beta = beta,
                                    .eps = 1e-12f,
                                    .dropout = {.p = static_cast<float>(state.range(1)) / 100},
                                    .row_ids = ids});
  });
}

template <DType kType>
void residual_layer_norm_backward_bench(benchmark::State& state) {
  const int64_t rows = state.range(0), cols = 768;
  const Tensor dy = filled(kType, rows, cols), dy2 = filled(kType, rows, cols), z = filled(kType, rows, cols);
  const Tensor dx = filled(kType, rows, cols), ddelta = filled(kType, rows, cols);
  const Tensor mean = Tensor::zeros(DType::f32, 1, rows), rstd = Tensor::zeros(DType::f32, 1, rows);
  const Tensor gamma = filled(DType::f32, 1, cols), ids = filled(DType::i32, 1, rows);
  const Tensor dgamma = Tensor::zeros(DType::f32, 1, cols), dbeta = Tensor::zeros(DType::f32, 1, cols);
  const bool dropout = state.range(1) > 0;
  run(state, [&](Stream& s) {
    residual_layer_norm_backward(s, {.dx = dx,
                                     .ddelta = dropout ? ddelta.span() : Span(),
                                     .dgamma = dgamma,
                                     .dbeta = dbeta,
                                     .dy = dy,
                                     .dy2 = dy2,
                                     .z = z,
                                     .mean = mean,
                                     .rstd = rstd,
                                     .gamma = gamma,
                                     .dropout = {.p = static_cast<float>(state.range(1)) / 100},
                                     .row_ids = ids});
  });
}

void sizes(benchmark::internal::Benchmark* b) { b->ArgsProduct({{128, 1024, 4096}, {0, 10}})->UseRealTime(); }
BENCHMARK(residual_layer_norm_forward_bench<DType::f32>)->Apply(sizes);
BENCHMARK(residual_layer_norm_forward_bench<DType::bf16>)->Apply(sizes);
BENCHMARK(residual_layer_norm_backward_bench<DType::f32>)->Apply(sizes);
BENCHMARK(residual_layer_norm_backward_bench<DType::bf16>)->Apply(sizes);

}  // namespace
}  // namespace aid::bench
