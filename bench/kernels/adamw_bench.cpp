#include "kernels/update/adamw.h"

#include "bench/kernels/roofline.h"
#include "kernels/update/global_norm.h"

namespace aid::bench {
namespace {

constexpr int64_t kBertBase = 110'000'000;

void adamw_bench(benchmark::State& state) {
  const Tensor p = Tensor::zeros(DType::f32, 1, kBertBase), g = Tensor::zeros(DType::f32, 1, kBertBase);
  const Tensor m = Tensor::zeros(DType::f32, 1, kBertBase), v = Tensor::zeros(DType::f32, 1, kBertBase);
  const AdamWTensor tensor = {.parameter = p, .gradient = g, .m = m, .v = v, .weight_decay = 0.01f};
  run(state, [&](Stream& s) {
    adamw(s, {.tensors = {&tensor, 1}, .lr = 1e-5, .step = 10, .clear_gradients = state.range(0) == 1});
  });
}
BENCHMARK(adamw_bench)->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);

void global_norm_bench(benchmark::State& state) {
  const Tensor g = Tensor::zeros(DType::f32, 1, kBertBase);
  const CSpan spans[] = {g};
  const Tensor norm(DType::f32, 1, 1);
  run(state, [&](Stream& s) { global_norm(s, {.norm = norm, .vectors = spans}); });
}
BENCHMARK(global_norm_bench)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace aid::bench
