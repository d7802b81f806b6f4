#include "kernels/lookup/embedding_layer_norm.h"

#include <cmath>

#include "bench/kernels/roofline.h"

namespace aid::bench {
namespace {

// BETO's tables; ids fall off as words in text do (Zipf), positions run from 0 to 511 again and again.
struct Model {
  static constexpr int64_t kWords = 31002, kPositions = 512, kTypes = 2, kColumns = 768;
  Tensor word = filled(DType::f32, kWords, kColumns), position = filled(DType::f32, kPositions, kColumns);
  Tensor type = filled(DType::f32, kTypes, kColumns), gamma = filled(DType::f32, 1, kColumns);
  Tensor ids, positions, row_ids;

  explicit Model(int64_t tokens)
      : ids(DType::i32, 1, tokens), positions(DType::i32, 1, tokens), row_ids(filled(DType::i32, 1, tokens)) {
    for (int64_t i = 0; i < tokens; ++i) {
      const double uniform = static_cast<double>(i * 7919 % 10007) / 10007;
      ids.span().as<int32_t>()[i] = static_cast<int32_t>(std::pow(static_cast<double>(kWords - 1), uniform));
      positions.span().as<int32_t>()[i] = static_cast<int32_t>(i % kPositions);
    }
  }
  EmbeddingTables tables() const { return {.word = word, .position = position, .type = type}; }
};

template <DType kType>
void embedding_layer_norm_forward_bench(benchmark::State& state) {
  const int64_t tokens = state.range(0);
  const Model model(tokens);
  const Tensor y = filled(kType, tokens, Model::kColumns);
  run(state, [&](Stream& s) {
    embedding_layer_norm_forward(s, {.y = y,
                                     .ids = model.ids,
                                     .positions = model.positions,
                                     .tables = model.tables(),
                                     .gamma = model.gamma,
                                     .beta = model.gamma,
                                     .eps = 1e-12f,
                                     .dropout = {.p = 0.1f},
                                     .row_ids = model.row_ids});
  });
}
BENCHMARK(embedding_layer_norm_forward_bench<DType::f32>)->Arg(128)->Arg(1024)->Arg(4096)->UseRealTime();
BENCHMARK(embedding_layer_norm_forward_bench<DType::bf16>)->Arg(1024)->UseRealTime();

template <DType kType>
void embedding_layer_norm_backward_bench(benchmark::State& state) {
  const int64_t tokens = state.range(0), cols = Model::kColumns;
  const Model model(tokens);
  const Tensor dy = filled(kType, tokens, cols), mean = Tensor::zeros(DType::f32, 1, tokens);
  const Tensor dword = Tensor::zeros(DType::f32, Model::kWords, cols);
  const Tensor dposition = Tensor::zeros(DType::f32, Model::kPositions, cols);
  const Tensor dtype_table = Tensor::zeros(DType::f32, Model::kTypes, cols);
  const Tensor dgamma = Tensor::zeros(DType::f32, 1, cols), dbeta = Tensor::zeros(DType::f32, 1, cols);
  run(state, [&](Stream& s) {
    embedding_layer_norm_backward(s, {.dword = dword,
                                      .dposition = dposition,
                                      .dtype_table = dtype_table,
                                      .dgamma = dgamma,
                                      .dbeta = dbeta,
                                      .dy = dy,
                                      .mean = mean,
                                      .rstd = mean,
                                      .ids = model.ids,
                                      .positions = model.positions,
                                      .tables = model.tables(),
                                      .gamma = model.gamma,
                                      .padding_id = 0,
                                      .dropout = {.p = 0.1f},
                                      .row_ids = model.row_ids});
  });
}
BENCHMARK(embedding_layer_norm_backward_bench<DType::f32>)->Arg(128)->Arg(1024)->Arg(4096)->UseRealTime();
BENCHMARK(embedding_layer_norm_backward_bench<DType::bf16>)->Arg(1024)->UseRealTime();

}  // namespace
}  // namespace aid::bench
