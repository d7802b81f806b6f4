#include "kernels/matrix/sparse_linear.h"

#include "bench/kernels/roofline.h"

namespace aid::bench {
namespace {

// spaCy's bag of words: 262,144 weights for each of a dozen classes; documents of 100 different words, two hashes each,
// which lie anywhere.
constexpr int64_t kClasses = 12, kStride = int64_t{1} << 18, kItems = 200;

Tensor hashes(int64_t items) {
  Tensor index(DType::i32, 1, items);
  for (int64_t i = 0; i < items; ++i) {
    index.span().as<int32_t>()[i] = static_cast<int32_t>(static_cast<uint32_t>(i % 5003) * 2654435761u >> 14);
  }
  return index;
}

void sparse_linear_forward_bench(benchmark::State& state) {
  const int64_t documents = state.range(0);
  const Tensor y = filled(DType::f32, documents, kClasses), w = filled(DType::f32, 1, kClasses * kStride);
  const Tensor bias = filled(DType::f32, 1, kClasses), values = filled(DType::f32, 1, documents * kItems);
  const Tensor index = hashes(documents * kItems), first = equal_segments(documents, kItems);
  run(state, [&](Stream& s) {
    sparse_linear_forward(
        s, {.y = y, .w = w, .bias = bias, .index = index, .values = values, .first = first, .class_stride = kStride});
  });
}
BENCHMARK(sparse_linear_forward_bench)->Arg(16)->Arg(256)->UseRealTime();

void sparse_linear_backward_bench(benchmark::State& state) {
  const int64_t documents = state.range(0);
  const Tensor dy = filled(DType::f32, documents, kClasses), dw = Tensor::zeros(DType::f32, 1, kClasses * kStride);
  const Tensor dbias = Tensor::zeros(DType::f32, 1, kClasses), values = filled(DType::f32, 1, documents * kItems);
  const Tensor index = hashes(documents * kItems), first = equal_segments(documents, kItems);
  run(state, [&](Stream& s) {
    sparse_linear_backward(s, {.dw = dw,
                               .dbias = dbias,
                               .dy = dy,
                               .index = index,
                               .values = values,
                               .first = first,
                               .class_stride = kStride});
  });
}
BENCHMARK(sparse_linear_backward_bench)->Arg(16)->Arg(256)->UseRealTime();

}  // namespace
}  // namespace aid::bench
