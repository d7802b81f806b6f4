// Attention at BERT-base's shape (12 heads of 64) and MiniLM's (12 of 32), on sequences of one length and of many.
#include "kernels/matrix/attention.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "bench/kernels/roofline.h"

namespace aid {
namespace {

enum Lengths : int64_t { k8x128, k1x512, kRagged };  // ragged: 20 to 512 in 8 equal steps

std::vector<int32_t> first_tokens(int64_t lengths) {
  std::vector<int32_t> first = {0};
  const int count = lengths == k1x512 ? 1 : 8;
  for (int i = 0; i < count; ++i) {
    const int length = lengths == k8x128 ? 128 : lengths == k1x512 ? 512 : 20 + i * 492 / 7;
    first.push_back(first.back() + length);
  }
  return first;
}

struct Operands {
  Operands(DType dtype, int64_t head_dim, int64_t lengths)
      : first(first_tokens(lengths)),
        tokens(first.back()),
        cols(12 * head_dim),
        qkv(random(dtype, tokens, 3 * cols)),
        dout(random(dtype, tokens, cols)),
        dqkv(dtype, tokens, 3 * cols),
        out(dtype, tokens, cols),
        lse(DType::f32, tokens, 12) {
    for (int64_t i = 0; i < tokens; ++i) row_ids.push_back(static_cast<int32_t>(i));
    for (size_t i = 0; i + 1 < first.size(); ++i) {
      const int64_t length = first[i + 1] - first[i];
      product_flops += 2 * length * length * cols;
    }
  }

  static Tensor random(DType dtype, int64_t rows, int64_t columns) {
    Tensor x(dtype, rows, columns);
    uint32_t state = 1;
    for (int64_t i = 0; i < rows * columns; ++i) {
      state = state * 1664525u + 1013904223u;
      const float value = static_cast<float>(state >> 8) * 0x1p-22f - 2;
      if (dtype == DType::f32) {
        x.span().as<float>()[i] = value;
      } else {
        x.span().as<bf16>()[i] = bf16(value);
      }
    }
    return x;
  }
  CSpan part(int i) const { return qkv.span().col_slice(i * cols, (i + 1) * cols); }
  Span gradient(int i) const { return dqkv.span().col_slice(i * cols, (i + 1) * cols); }
  CSpan cu() const { return vector(first.data(), static_cast<int64_t>(first.size())); }

  void forward(Stream& s, const Dropout& dropout) const {
    attention_forward(s, {.out = out,
                          .lse = lse,
                          .q = part(0),
                          .k = part(1),
                          .v = part(2),
                          .cu_q = cu(),
                          .cu_k = cu(),
                          .heads = 12,
                          .scale = 0.125f,
                          .dropout = dropout,
                          .row_ids = vector(row_ids.data(), tokens)});
  }
  void backward(Stream& s, const Dropout& dropout) const {
    attention_backward(s, {.dq = gradient(0),
                           .dk = gradient(1),
                           .dv = gradient(2),
                           .dout = dout,
                           .out = out,
                           .lse = lse,
                           .q = part(0),
                           .k = part(1),
                           .v = part(2),
                           .cu_q = cu(),
                           .cu_k = cu(),
                           .heads = 12,
                           .scale = 0.125f,
                           .dropout = dropout,
                           .row_ids = vector(row_ids.data(), tokens)});
  }

  std::vector<int32_t> first, row_ids;
  int64_t tokens, cols;
  Tensor qkv, dout, dqkv, out, lse;
  int64_t product_flops = 0;
};

Dropout dropout_of(const benchmark::State& state) {
  return {.p = static_cast<float>(state.range(3)) / 100, .seed = 1, .step = 2, .site = 3};
}

void forward(benchmark::State& state) {
  const auto dtype = static_cast<DType>(state.range(0));
  const Operands x(dtype, state.range(1), state.range(2));
  const Dropout dropout = dropout_of(state);
  bench::run(state,
             {.bytes = x.qkv.span().bytes() + x.out.span().bytes(), .flops = 2 * x.product_flops, .compute = dtype},
             [&](Stream& s) { x.forward(s, dropout); });
}

void backward(benchmark::State& state) {
  const auto dtype = static_cast<DType>(state.range(0));
  const Operands x(dtype, state.range(1), state.range(2));
  const Dropout dropout = dropout_of(state);
  x.forward(bench::stream(), dropout);
  bench::run(
      state,
      {.bytes = 2 * (x.qkv.span().bytes() + x.out.span().bytes()), .flops = 5 * x.product_flops, .compute = dtype},
      [&](Stream& s) { x.backward(s, dropout); });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"dtype", "dim", "lengths", "dropout%"});
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int64_t lengths : {k8x128, k1x512, kRagged}) b->Args({static_cast<int64_t>(dtype), 64, lengths, 0});
    b->Args({static_cast<int64_t>(dtype), 32, k8x128, 0});
    b->Args({static_cast<int64_t>(dtype), 64, k8x128, 10});
  }
  b->UseRealTime();
}
BENCHMARK(forward)->Name("attention_forward")->Apply(shapes);
BENCHMARK(backward)->Name("attention_backward")->Apply(shapes);

}  // namespace
}  // namespace aid
