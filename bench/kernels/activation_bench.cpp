#include "kernels/elements/activation.h"

#include "bench/kernels/roofline.h"

namespace aid::bench {
namespace {

// Argument: rows of 3072 columns.
template <DType kType, Activation kActivation>
void activation_forward_bench(benchmark::State& state) {
  const Tensor x = filled(kType, state.range(0), 3072), y = filled(kType, state.range(0), 3072);
  run(state, [&](Stream& s) { activation_forward(s, {.y = y, .x = x, .activation = kActivation}); });
}

// With y recomputed, as training calls it; dx has memory of its own, or repeated calls would take dy to subnormals.
template <DType kType, Activation kActivation>
void activation_backward_bench(benchmark::State& state) {
  const int64_t rows = state.range(0), cols = 3072;
  const Tensor x = filled(kType, rows, cols), y(kType, rows, cols), dy = filled(kType, rows, cols),
               dx(kType, rows, cols);
  run(state,
      [&](Stream& s) { activation_backward(s, {.dx = dx, .y = y, .dy = dy, .x = x, .activation = kActivation}); });
}

void sizes(benchmark::internal::Benchmark* b) { b->Arg(128)->Arg(1024)->Arg(4096)->UseRealTime(); }
BENCHMARK(activation_forward_bench<DType::f32, Activation::gelu_erf>)->Apply(sizes);
BENCHMARK(activation_forward_bench<DType::bf16, Activation::gelu_erf>)->Apply(sizes);
BENCHMARK(activation_backward_bench<DType::f32, Activation::gelu_erf>)->Apply(sizes);
BENCHMARK(activation_backward_bench<DType::bf16, Activation::gelu_erf>)->Apply(sizes);
BENCHMARK(activation_backward_bench<DType::f32, Activation::gelu_tanh>)->Apply(sizes);
BENCHMARK(activation_backward_bench<DType::f32, Activation::relu>)->Apply(sizes);

}  // namespace
}  // namespace aid::bench
