// The four products of a BERT-base layer, forward as inference has it, and backward with the packing of the weights.
#include "kernels/matrix/linear.h"

#include "bench/kernels/roofline.h"

namespace aid::bench {
namespace {

struct Shape {
  int64_t rows, in, out;
  DType dtype;
};
Shape shape_of(const benchmark::State& state) {
  return {state.range(0), state.range(1), state.range(2), state.range(3) != 0 ? DType::bf16 : DType::f32};
}
Work work_of(const Shape& shape) { return {.flops = 2 * shape.rows * shape.in * shape.out, .compute = shape.dtype}; }

void for_bert_base(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"rows", "in", "out", "bf16"})->UseRealTime();
  for (const int bf16 : {0, 1}) {
    for (const int rows : {1, 8, 128, 1000, 1024}) {
      for (const auto& [in, out] : {std::pair{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}}) {
        benchmark->Args({rows, in, out, bf16});
      }
    }
  }
}

void linear_forward(benchmark::State& state, Activation activation) {
  const Shape shape = shape_of(state);
  LinearWeights weights(shape.out, shape.in, shape.dtype, LinearWeights::Use::inference);
  weights.update(stream(), Tensor::zeros(DType::f32, shape.out, shape.in));
  const Tensor x = Tensor::zeros(shape.dtype, shape.rows, shape.in), y(shape.dtype, shape.rows, shape.out);
  const Tensor bias = Tensor::zeros(DType::f32, 1, shape.out);
  run(state, work_of(shape), [&](Stream& s) {
    linear_forward(s, {.y = y, .x = x, .weights = weights, .bias = bias, .activation = activation});
  });
}
BENCHMARK_CAPTURE(linear_forward, none, Activation::none)->Apply(for_bert_base);
BENCHMARK_CAPTURE(linear_forward, gelu_erf, Activation::gelu_erf)->Apply(for_bert_base);

void linear_backward_input(benchmark::State& state) {
  const Shape shape = shape_of(state);
  const Tensor w = Tensor::zeros(DType::f32, shape.out, shape.in);
  LinearWeights weights(shape.out, shape.in, shape.dtype, LinearWeights::Use::training);
  weights.update(stream(), w);
  const Tensor dy = Tensor::zeros(shape.dtype, shape.rows, shape.out), dx(shape.dtype, shape.rows, shape.in);
  run(state, work_of(shape), [&](Stream& s) { linear_backward_input(s, {.dx = dx, .dy = dy, .weights = weights}); });
}
BENCHMARK(linear_backward_input)->Apply(for_bert_base);

void linear_backward_weight(benchmark::State& state) {
  const Shape shape = shape_of(state);
  const Tensor dy = Tensor::zeros(shape.dtype, shape.rows, shape.out);
  const Tensor x = Tensor::zeros(shape.dtype, shape.rows, shape.in);
  const Tensor dw = Tensor::zeros(DType::f32, shape.out, shape.in), db = Tensor::zeros(DType::f32, 1, shape.out);
  run(state, work_of(shape), [&](Stream& s) { linear_backward_weight(s, {.dw = dw, .dbias = db, .dy = dy, .x = x}); });
}
BENCHMARK(linear_backward_weight)->Apply(for_bert_base);

// At load: master weights to their packed copy. As many matrices as keep the caches out of it.
void linear_update(benchmark::State& state) {
  constexpr int64_t kOut = 3072, kIn = 768, kMatrices = 12;
  const DType dtype = state.range(0) != 0 ? DType::bf16 : DType::f32;
  std::vector<LinearWeights> weights;
  std::vector<Tensor> masters;
  int64_t bytes = 0;
  for (int64_t i = 0; i < kMatrices; ++i) {
    weights.emplace_back(kOut, kIn, dtype, LinearWeights::Use::inference);
    masters.push_back(Tensor::zeros(DType::f32, kOut, kIn));
    bytes += masters.back().span().bytes() + kOut * kIn * static_cast<int64_t>(size_of(dtype));
  }
  run(state, {.bytes = bytes}, [&](Stream& s) {
    for (size_t i = 0; i < weights.size(); ++i) weights[i].update(s, masters[i]);
  });
}
BENCHMARK(linear_update)->ArgName("bf16")->Arg(0)->Arg(1)->UseRealTime();

}  // namespace
}  // namespace aid::bench
