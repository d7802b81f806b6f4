#include "kernels/rows/maxout_layer_norm.h"

#include "bench/kernels/roofline.h"

namespace aid::bench {
namespace {

constexpr int64_t kPieces = 3;

// Arguments: rows, columns, per cent of dropout.
void maxout_layer_norm_forward_bench(benchmark::State& state) {
  const int64_t rows = state.range(0), cols = state.range(1);
  const Tensor x = filled(DType::f32, rows, cols), y = filled(DType::f32, rows, cols);
  const Tensor z = filled(DType::f32, rows, cols * kPieces), gamma = filled(DType::f32, 1, cols);
  const Tensor ids = filled(DType::i32, 1, rows);
  run(state, [&](Stream& s) {
    maxout_layer_norm_forward(s, {.y = y,
                                  .x = x,
                                  .z = z,
                                  .gamma = gamma,
                                  .beta = gamma,
                                  .pieces = kPieces,
                                  .eps = 1e-8f,
                                  .dropout = {.p = static_cast<float>(state.range(2)) / 100},
                                  .row_ids = ids});
  });
}

void maxout_layer_norm_backward_bench(benchmark::State& state) {
  const int64_t rows = state.range(0), cols = state.range(1);
  const Tensor dy = filled(DType::f32, rows, cols), gamma = filled(DType::f32, 1, cols);
  const Tensor z = filled(DType::f32, rows, cols * kPieces), dz = filled(DType::f32, rows, cols * kPieces);
  const Tensor mean = Tensor::zeros(DType::f32, 1, rows), rstd = Tensor::zeros(DType::f32, 1, rows);
  const Tensor dgamma = Tensor::zeros(DType::f32, 1, cols), dbeta = Tensor::zeros(DType::f32, 1, cols);
  const Tensor ids = filled(DType::i32, 1, rows);
  run(state, [&](Stream& s) {
    maxout_layer_norm_backward(s, {.dz = dz,
                                   .dgamma = dgamma,
                                   .dbeta = dbeta,
                                   .dy = dy,
                                   .z = z,
                                   .mean = mean,
                                   .rstd = rstd,
                                   .gamma = gamma,
                                   .pieces = kPieces,
                                   .dropout = {.p = static_cast<float>(state.range(2)) / 100},
                                   .row_ids = ids});
  });
}

void sizes(benchmark::internal::Benchmark* b) { b->ArgsProduct({{4096, 65536}, {96, 256}, {0, 10}})->UseRealTime(); }
BENCHMARK(maxout_layer_norm_forward_bench)->Apply(sizes);
BENCHMARK(maxout_layer_norm_backward_bench)->Apply(sizes);

}  // namespace
}  // namespace aid::bench
