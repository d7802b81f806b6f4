// aid's side of compare_bert.py: does one piece of work on BETO-base (or what --layers and the like make of it) with
// random weights, once for each line on stdin, and answers each with "milliseconds peak-MiB" (of the host's memory); on
// "profile" with one JSON object of the time of each op, on "peak" with the machine's GFLOP/s. A turn ends when the
// host has the results: logits, or a step's loss and norm.
//   bert_worker {infer|ragged|train} [--device {cpu|cuda}] [--precision {f32|bf16|f16}] [--batch N] [--length N]
//               [--threads N] [--layers N] [--hidden N] [--words N] [--no-graphs]
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "kernels/rows/cross_entropy.h"
#include "kernels/update/adamw.h"
#include "kernels/update/global_norm.h"
#include "nn/bert.h"

namespace aid {
namespace {

struct Options {
  std::string work, device = "cpu", precision = "f32";
  int batch = 1, length = 128, threads = 2, layers = 12, hidden = 768, words = 31002;
  bool graphs = true;

  Target target() const { return device == "cuda" ? Target::cuda : default_target(); }
  DType compute() const { return precision == "bf16" ? DType::bf16 : precision == "f16" ? DType::f16 : DType::f32; }
};

constexpr int kLabels = 12;
constexpr int kHeadWidth = 64;

nn::BertConfig config_of(const Options& options) {
  return {.vocab_size = options.words,
          .hidden = options.hidden,
          .layers = options.layers,
          .heads = options.hidden / kHeadWidth,
          .intermediate = 4 * options.hidden,
          .max_positions = 512,
          .types = 2,
          .labels = kLabels,
          .padding_idx = 1};
}

// The 64 lengths of bert_peer.py's ragged_lengths(), in the order of the files.
std::vector<int> ragged_lengths() {
  std::vector<int> lengths(64);
  for (int i = 0; i < 64; ++i) lengths[static_cast<size_t>(i)] = 20 + (i * 37 % 64) * 492 / 63;
  return lengths;
}

nn::TokenBatch random_batch(std::span<const int> lengths, int words, std::mt19937& random) {
  nn::TokenBatch batch;
  batch.cu_seqlens.push_back(0);
  std::uniform_int_distribution<int> id(5, words - 1);
  for (const int length : lengths) {
    for (int i = 0; i < length; ++i) batch.ids.push_back(id(random));
    batch.sequence_ids.push_back(static_cast<int32_t>(batch.cu_seqlens.size()) - 1);
    batch.cu_seqlens.push_back(static_cast<int32_t>(batch.ids.size()));
  }
  return batch;
}

// Ragged texts go in file order, as many to a batch as a budget of tokens holds: what `aid predict` does.
std::vector<nn::TokenBatch> make_batches(const Options& options) {
  const int token_budget = options.target() == Target::cuda ? 16384 : 1024;
  std::mt19937 random(0);
  const std::vector<int> lengths = options.work == "ragged"
                                       ? ragged_lengths()
                                       : std::vector<int>(static_cast<size_t>(options.batch), options.length);
  std::vector<nn::TokenBatch> batches;
  for (size_t begin = 0; begin < lengths.size();) {
    size_t end = begin;
    int tokens = 0;
    while (end < lengths.size() &&
           (end == begin || options.work != "ragged" || tokens + lengths[end] <= token_budget)) {
      tokens += lengths[end++];
    }
    batches.push_back(random_batch(std::span(lengths).subspan(begin, end - begin), options.words, random));
    begin = end;
  }
  return batches;
}

class Worker {
 public:
  explicit Worker(const Options& options)
      : training_(options.work == "train"),
        stream_({.threads = options.threads, .target = options.target(), .graphs = options.graphs}),
        batches_(make_batches(options)),
        model_(config_of(options), options.compute(),
               training_ ? nn::BertClassifier::Mode::training : nn::BertClassifier::Mode::inference, stream_.device()),
        numbers_(DType::f32, 1, 2, stream_.device()) {
    if (training_) {
      for (nn::Parameter& parameter : model_.parameters()) {
        model_.initialise(parameter, 0);
        const CSpan value = parameter.value;
        m_.push_back(Tensor::zeros(DType::f32, value.rows, value.cols, stream_.device()));
        v_.push_back(Tensor::zeros(DType::f32, value.rows, value.cols, stream_.device()));
      }
    } else {
      // A model in inference refers to its weights: they live here.
      std::mt19937 random(0);
      for (nn::Parameter& parameter : model_.parameters()) model_.set_value(parameter, random_value(parameter, random));
    }
    model_.update_weights(stream_);
  }

  void run() {
    for (const nn::TokenBatch& batch : batches_) {
      if (training_) ++step_;
      results_.resize(static_cast<size_t>(training_ ? 2 : batch.sequences() * kLabels));
      stream_.repeat(batch.cu_seqlens, [&] {
        if (training_) {
          train(batch);
        } else {
          stream_.download(matrix(results_.data(), batch.sequences(), kLabels), model_.forward(stream_, batch));
        }
      });
      stream_.synchronize();
      stream_.release();
    }
  }

  Stream& stream() { return stream_; }

 private:
  CSpan random_value(const nn::Parameter& parameter, std::mt19937& random) {
    int64_t size = 1;
    for (const int64_t extent : parameter.shape) size *= extent;
    values_.emplace_back(DType::f32, 1, size);
    const float center = parameter.name.ends_with("LayerNorm.weight") ? 1.0f : 0.0f;
    std::uniform_real_distribution<float> noise(-0.035f, 0.035f);  // the deviation of transformers' 0.02
    float* value = values_.back().span().as<float>();
    for (int64_t i = 0; i < size; ++i) value[i] = center + noise(random);
    return values_.back();
  }

  void train(const nn::TokenBatch& batch) {
    const Span logits = model_.forward_training(stream_, batch, {.seed = 0, .step = static_cast<uint32_t>(step_)});
    std::vector<int32_t> labels(static_cast<size_t>(batch.sequences()));
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int32_t>(i) % kLabels;
    const Span loss = numbers_.span().col_slice(0, 1), norm = numbers_.span().col_slice(1, 2);
    cross_entropy(stream_, {.loss = loss,
                            .dlogits = logits,
                            .logits = logits,
                            .labels = stream_.upload(vector(labels.data(), batch.sequences()))});
    model_.backward(stream_, logits);
    std::vector<CSpan> gradients;
    std::vector<AdamWTensor> tensors;
    const auto parameters = model_.parameters();
    for (size_t i = 0; i < parameters.size(); ++i) {
      gradients.push_back(parameters[i].gradient);
      tensors.push_back({.parameter = parameters[i].trained_value,
                         .gradient = parameters[i].gradient,
                         .m = m_[i].span(),
                         .v = v_[i].span(),
                         .copy = parameters[i].compute_value,
                         .weight_decay = parameters[i].decay ? 0.01f : 0.0f});
    }
    global_norm(stream_, {.norm = norm, .vectors = gradients});
    adamw(stream_,
          {.tensors = tensors, .lr = 2e-5f, .step = step_, .norm = norm, .max_norm = 1, .clear_gradients = true});
    stream_.download(matrix(results_.data(), 1, 2), numbers_);
  }

  bool training_;
  Stream stream_;
  std::vector<nn::TokenBatch> batches_;
  nn::BertClassifier model_;
  std::vector<Tensor> values_, m_, v_;
  Tensor numbers_;              // a step's loss and norm
  std::vector<float> results_;  // the host's
  int64_t step_ = 0;
};

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void print_profile(const Profiler& profiler) {
  struct Sum {
    double ms = 0, gflop = 0, mb = 0;
    int calls = 0;
  };
  std::map<std::string, Sum> ops;
  for (const ProfileEvent& event : profiler.events()) {
    Sum& sum = ops[event.op];
    sum.ms += static_cast<double>(event.end_ns - event.begin_ns) / 1e6;
    sum.gflop += static_cast<double>(event.flops) / 1e9;
    sum.mb += static_cast<double>(event.bytes) / 1e6;
    ++sum.calls;
  }
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [op, sum] : ops) {
    json[op] = {{"ms", sum.ms}, {"calls", sum.calls}, {"gflop", sum.gflop}, {"mb", sum.mb}};
  }
  std::cout << json.dump() << std::endl;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("aid's side of compare_bert.py");
  app.add_option("work", options.work)->required()->check(CLI::IsMember({"infer", "ragged", "train"}));
  app.add_option("--device", options.device)->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--precision", options.precision)->check(CLI::IsMember({"f32", "bf16", "f16"}));
  app.add_option("--batch", options.batch);
  app.add_option("--length", options.length);
  app.add_option("--threads", options.threads);
  app.add_option("--layers", options.layers);
  app.add_option("--hidden", options.hidden, "A multiple of 64, the width of a head");
  app.add_option("--words", options.words);
  app.add_flag("!--no-graphs", options.graphs, "On a GPU: queue each launch as it comes");
  CLI11_PARSE(app, argc, argv);
  Worker worker(options);
  worker.run();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "peak") {
      std::cout << measure_matrix_peak(worker.stream(), options.compute()) / 1e9 << std::endl;
      continue;
    }
    if (line == "profile") {
      Profiler profiler([&worker] { worker.stream().synchronize(); });
      worker.stream().set_profiler(&profiler);
      worker.run();
      worker.stream().set_profiler(nullptr);
      print_profile(profiler);
      continue;
    }
    const auto start = std::chrono::steady_clock::now();
    worker.run();
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    std::cout << elapsed.count() << " " << peak_mib() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace aid

int main(int argc, char** argv) {
  try {
    return aid::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "bert_worker: " << error.what() << std::endl;
    return 1;
  }
}
