#include "kernels/lookup/hash_embedding.h"

#include "bench/kernels/roofline.h"

namespace aid::bench {
namespace {

constexpr int64_t kRows = 5000, kColumns = 96;  // spaCy's table of words, in a small model

void hash_embedding_forward_bench(benchmark::State& state) {
  const int64_t tokens = state.range(0);
  const Tensor y = filled(DType::f32, tokens, kColumns), table = filled(DType::f32, kRows, kColumns);
  const Tensor ids = filled(DType::i64, 1, tokens);
  run(state, [&](Stream& s) { hash_embedding_forward(s, {.y = y, .table = table, .ids = ids, .seed = 8}); });
}
BENCHMARK(hash_embedding_forward_bench)->Arg(128)->Arg(4096)->Arg(65536)->UseRealTime();

void hash_embedding_backward_bench(benchmark::State& state) {
  const int64_t tokens = state.range(0);
  const Tensor dy = filled(DType::f32, tokens, kColumns), dtable = Tensor::zeros(DType::f32, kRows, kColumns);
  const Tensor ids = filled(DType::i64, 1, tokens);
  run(state, [&](Stream& s) { hash_embedding_backward(s, {.dtable = dtable, .dy = dy, .ids = ids, .seed = 8}); });
}
BENCHMARK(hash_embedding_backward_bench)->Arg(128)->Arg(4096)->UseRealTime();

}  // namespace
}  // namespace aid::bench
