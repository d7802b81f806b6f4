// BERT-base (BETO's sizes, random weights): inference and a whole fine-tuning step. Counters: milliseconds of each op
// by the profiler, "%matmul" the share of the time that matrix products take, "%roof" how near these come to the
// machine's peak, "RSS MB" the most memory that the case had in use.
#include <benchmark/benchmark.h>

#include <fstream>
#include <map>
#include <numeric>
#include <string>

#include "bench/kernels/roofline.h"
#include "kernels/rows/cross_entropy.h"
#include "kernels/update/adamw.h"
#include "kernels/update/global_norm.h"
#include "nn/bert.h"

namespace aid::bench {
namespace {

using nn::BertClassifier;
using nn::Mode;

constexpr nn::BertConfig kBase{.vocab_size = 31002,
                               .hidden = 768,
                               .layers = 12,
                               .heads = 12,
                               .intermediate = 3072,
                               .max_positions = 512,
                               .types = 2,
                               .labels = 12,
                               .padding_idx = 1};

nn::TokenBatch batch_of(const std::vector<int>& lengths) {
  nn::TokenBatch batch{.cu_seqlens = {0}};
  uint32_t state = 1;
  for (const int length : lengths) {
    for (int i = 0; i < length; ++i) {
      state = state * 1664525u + 1013904223u;
      batch.ids.push_back(static_cast<int32_t>(5 + (state >> 8) % 30997));
    }
    batch.sequence_ids.push_back(static_cast<int32_t>(batch.sequence_ids.size()));
    batch.cu_seqlens.push_back(batch.cu_seqlens.back() + length);
  }
  return batch;
}

std::vector<int> lengths_of(const benchmark::State& state) {
  if (state.range(0) > 0) {
    return std::vector<int>(static_cast<size_t>(state.range(0)), static_cast<int>(state.range(1)));
  }
  return {20, 512, 64, 131, 37, 250, 90, 45};  // about what a batch of documents looks like
}

// Peak resident memory since the last reset; Linux.
void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }
double peak_memory_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    double kib = 0;
    status >> kib;
    return kib / 1024;
  }
  return 0;
}

void report(benchmark::State& state, const Profiler& profiler, double seconds, DType compute) {
  std::map<std::string, double> ms;
  double matmul = 0, flops = 0;
  for (const ProfileEvent& event : profiler.events()) {
    const double time = static_cast<double>(event.end_ns - event.begin_ns) * 1e-6;
    const std::string op = event.op;
    ms[op] += time;
    if (op.starts_with("linear_") && op != "linear_update") {
      matmul += time;
      flops += static_cast<double>(event.flops);
    }
  }
  const double iterations = static_cast<double>(state.iterations());
  for (const auto& [op, time] : ms) state.counters[op] = time / iterations;
  state.counters["%matmul"] = 100 * matmul / (seconds * 1e3);
  state.counters["%roof"] = 100 * flops / (matmul * 1e-3) / matrix_peak(compute);
  state.counters["RSS MB"] = peak_memory_mb();
}

template <class F>
void timed(benchmark::State& state, Stream& s, DType compute, F step) {
  matrix_peak(compute);
  step();
  step();  // the arena is one block now
  Profiler profiler;
  s.set_profiler(&profiler);
  const auto begin = Clock::now();
  for (auto _ : state) step();
  const double seconds = seconds_since(begin);
  s.set_profiler(nullptr);
  report(state, profiler, seconds, compute);
}

// Random weights in one piece, as a file would hold them.
class Weights {
 public:
  explicit Weights(BertClassifier& model) {
    int64_t size = 0;
    for (const nn::Parameter& parameter : model.parameters()) size += size_of(parameter);
    memory_ = Tensor(DType::f32, 1, size);
    float* next = memory_.span().as<float>();
    uint32_t state = 1;
    for (nn::Parameter& parameter : model.parameters()) {
      const int64_t n = size_of(parameter);
      const bool norm = parameter.shape.size() == 1 && parameter.name.ends_with(".weight");
      for (int64_t i = 0; i < n; ++i) {
        state = state * 1664525u + 1013904223u;
        next[i] = (norm ? 1.0f : 0.0f) + 0.035f * (static_cast<float>(state >> 8) * 0x1p-23f - 1);  // deviation 0.02
      }
      model.set_value(parameter, vector(std::as_const(next), n));
      next += n;
    }
  }

 private:
  static int64_t size_of(const nn::Parameter& parameter) {
    return std::accumulate(parameter.shape.begin(), parameter.shape.end(), int64_t{1}, std::multiplies<>());
  }
  Tensor memory_;
};

void bert_inference(benchmark::State& state, DType compute) {
  reset_peak_memory();
  Stream s;
  BertClassifier model(kBase, compute, Mode::inference);
  const Weights weights(model);
  model.update_weights(s);
  const nn::TokenBatch batch = batch_of(lengths_of(state));
  timed(state, s, compute, [&] {
    model.forward(s, batch);
    s.arena().release();
  });
}

void bert_training_step(benchmark::State& state, DType compute) {
  reset_peak_memory();
  Stream s;
  BertClassifier model(kBase, compute, Mode::training);
  { const Weights weights(model); }
  model.update_weights(s);
  std::vector<Tensor> moments;
  std::vector<AdamWTensor> tensors;
  std::vector<CSpan> gradients;
  for (const nn::Parameter& parameter : model.parameters()) {
    const Span value = parameter.trained_value;
    for (int i = 0; i < 2; ++i) moments.push_back(Tensor::zeros(DType::f32, value.rows, value.cols));
    tensors.push_back({.parameter = value,
                       .gradient = parameter.gradient,
                       .m = moments[moments.size() - 2],
                       .v = moments[moments.size() - 1],
                       .weight_decay = parameter.decay ? 0.01f : 0});
    gradients.push_back(parameter.gradient);
  }
  reset_peak_memory();
  const nn::TokenBatch batch = batch_of(lengths_of(state));
  std::vector<int32_t> labels;
  for (int32_t i = 0; i < batch.sequences(); ++i) labels.push_back(i % 12);
  uint32_t step = 0;
  timed(state, s, compute, [&] {
    ++step;
    const Span logits = model.forward_training(s, batch, {.seed = 1, .step = step});
    float loss = 0;
    cross_entropy(s, {.loss = &loss,
                      .dlogits = logits,
                      .logits = logits,
                      .labels = vector(std::as_const(labels).data(), static_cast<int64_t>(labels.size()))});
    model.backward(s, logits);
    s.arena().release();
    const double norm = global_norm(s, gradients);
    adamw(s, {.tensors = tensors,
              .lr = 2e-5f,
              .step = step,
              .gradient_scale = static_cast<float>(std::min(1.0, 1 / (norm + 1e-6))),
              .clear_gradients = true});
    model.update_weights(s);
  });
}

// {texts, tokens of each}; {0, 0}: eight texts of 20 to 512 tokens.
void sizes(benchmark::internal::Benchmark* bench) {
  bench->Args({1, 128})->Args({8, 128})->Args({0, 0})->Unit(benchmark::kMillisecond)->UseRealTime();
}
BENCHMARK_CAPTURE(bert_inference, bf16, DType::bf16)->Apply(sizes);
BENCHMARK_CAPTURE(bert_inference, f32, DType::f32)->Apply(sizes);
BENCHMARK_CAPTURE(bert_training_step, bf16, DType::bf16)->Apply(sizes);
BENCHMARK_CAPTURE(bert_training_step, f32, DType::f32)->Apply(sizes);

}  // namespace
}  // namespace aid::bench
