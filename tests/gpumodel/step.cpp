#include "tests/gpumodel/step.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <random>

#include "kernels/lookup/hash_embedding.h"
#include "kernels/matrix/sparse_linear.h"
#include "kernels/rows/cross_entropy.h"
#include "kernels/rows/expand_window.h"
#include "kernels/rows/maxout_layer_norm.h"
#include "kernels/rows/parametric_attention.h"
#include "kernels/rows/segment_reduce.h"
#include "kernels/update/adamw.h"
#include "kernels/update/global_norm.h"
#include "nn/bert.h"

namespace aid::gpumodel {
namespace {

constexpr int kLabels = 12;

nn::BertConfig beto(int64_t layers) {
  return {.vocab_size = 31002,
          .hidden = 768,
          .layers = layers,
          .heads = 12,
          .intermediate = 3072,
          .max_positions = 512,
          .types = 2,
          .labels = kLabels,
          .padding_idx = 1};
}

nn::TokenBatch random_batch(const StepShape& shape) {
  nn::TokenBatch batch{.cu_seqlens = {0}};
  std::mt19937 random(0);
  std::uniform_int_distribution<int> id(5, 31001);
  for (int64_t text = 0; text < shape.batch; ++text) {
    for (int64_t i = 0; i < shape.length; ++i) batch.ids.push_back(i == 0 ? 4 : id(random));
    batch.sequence_ids.push_back(static_cast<int32_t>(text));
    batch.cu_seqlens.push_back(static_cast<int32_t>(batch.ids.size()));
  }
  return batch;
}

// What train/trainer does with a step's texts, on memory that nobody has written: values do not matter here.
class Training {
 public:
  Training(nn::BertClassifier& model, int64_t batch) : model_(model), labels_(static_cast<size_t>(batch)) {
    for (const nn::Parameter& parameter : model.parameters()) {
      const CSpan value = parameter.value;
      m_.emplace_back(DType::f32, value.rows, value.cols, Device::cuda);
      v_.emplace_back(DType::f32, value.rows, value.cols, Device::cuda);
    }
  }

  void step(Stream& s, const nn::TokenBatch& batch) {
    const Span logits = model_.forward_training(s, batch, {.seed = 1, .step = 1});
    const CSpan labels = s.upload(vector(labels_.data(), batch.sequences()));
    cross_entropy(s, {.loss = loss_.span(), .dlogits = logits, .logits = logits, .labels = labels});
    model_.backward(s, logits);
    std::vector<CSpan> gradients;
    std::vector<AdamWTensor> tensors;
    for (const nn::Parameter& parameter : model_.parameters()) {
      const size_t i = tensors.size();
      gradients.push_back(parameter.gradient);
      tensors.push_back({.parameter = parameter.trained_value,
                         .gradient = parameter.gradient,
                         .m = m_[i],
                         .v = v_[i],
                         .copy = parameter.compute_value,
                         .weight_decay = parameter.decay ? 0.01f : 0.0f});
    }
    global_norm(s, {.norm = norm_.span(), .vectors = gradients});
    adamw(s,
          {.tensors = tensors, .lr = 2e-5f, .step = 1, .norm = norm_.span(), .max_norm = 1, .clear_gradients = true});
  }

 private:
  nn::BertClassifier& model_;
  std::vector<int32_t> labels_;
  std::vector<Tensor> m_, v_;
  Tensor loss_{DType::f32, 1, 1, Device::cuda}, norm_{DType::f32, 1, 1, Device::cuda};
};

// Launches with the time at which they ran, as the profiler counts it.
struct TimedLaunch {
  int64_t ns;
  softgpu::Launch launch;
};

// Each launch to the innermost op that was open when it ran; ops end before those that contain them.
std::vector<Op> ops_of(const std::vector<ProfileEvent>& events, const std::vector<TimedLaunch>& launches) {
  std::vector<Op> ops;
  for (const ProfileEvent& event : events)
    ops.push_back({.name = event.op, .bytes = event.bytes, .flops = event.flops});
  ops.push_back({.name = "other"});
  for (const TimedLaunch& timed : launches) {
    const auto inside = [&](const ProfileEvent& e) { return e.begin_ns <= timed.ns && timed.ns <= e.end_ns; };
    const auto event = std::find_if(events.begin(), events.end(), inside);
    ops[static_cast<size_t>(event - events.begin())].launches.push_back(timed.launch);
  }
  return ops;
}

// What work(stream, begin) queues after it has called begin().
template <class Work>
std::vector<Op> count(uint64_t sampled_blocks, const Work& work) {
  softgpu::set_stream_order(softgpu::StreamOrder::calls);  // at the call, so that a launch falls into its op's time
  softgpu::set_launch_options({.checks = false, .counters = true, .sampled_blocks = sampled_blocks});
  std::vector<TimedLaunch> launches;
  Profiler profiler;
  {
    Stream s({.threads = 1, .target = Target::cuda});
    work(s, [&] {
      s.synchronize();
      softgpu::on_launch([&](const softgpu::Launch& launch) { launches.push_back({profiler.now_ns(), launch}); });
      s.set_profiler(&profiler);
    });
    s.synchronize();
    softgpu::on_launch({});
  }
  softgpu::set_launch_options(softgpu::options_from_environment());
  return ops_of(profiler.events(), launches);
}

}  // namespace

std::vector<Op> count_step(const StepShape& shape) {
  return count(shape.sampled_blocks, [&](Stream& s, const auto& begin) {
    const nn::TokenBatch batch = random_batch(shape);
    nn::BertClassifier model(beto(shape.layers), shape.compute,
                             shape.training ? nn::Mode::training : nn::Mode::inference, Device::cuda);
    model.update_weights(s);
    std::optional<Training> training;
    if (shape.training) training.emplace(model, shape.batch);
    begin();
    if (training) {
      training->step(s, batch);
    } else {
      model.forward(s, batch);
    }
    s.synchronize();
  });
}

std::vector<Op> count_textcat(uint64_t sampled_blocks) {
  constexpr int64_t kDocuments = 64, kRows = kDocuments * 128, kColumns = 96, kPieces = 3, kTable = 5000;
  constexpr int64_t kItems = 2 * kRows, kStride = 1 << 18;
  const Dropout dropout = {.p = 0.1f, .seed = 1, .step = 1};
  std::mt19937 random(0);
  std::vector<int64_t> words(kRows);
  std::vector<int32_t> rows(kRows), hashes(kItems), first_row, first_item;
  std::iota(rows.begin(), rows.end(), 0);
  for (int64_t& word : words) word = static_cast<int64_t>(random() % 2000);
  for (int32_t& hash : hashes) hash = static_cast<int32_t>(random() % kStride);
  for (int64_t d = 0; d <= kDocuments; ++d) {
    first_row.push_back(static_cast<int32_t>(d * kRows / kDocuments));
    first_item.push_back(static_cast<int32_t>(d * kItems / kDocuments));
  }
  return count(sampled_blocks, [&](Stream& s, const auto& begin) {
    const auto upload = [&](const auto& values) { return s.upload(vector(values.data(), std::ssize(values))); };
    const auto take = [&](int64_t n, int64_t cols) { return s.arena().take(DType::f32, n, cols); };
    const CSpan ids = upload(words), row_ids = upload(rows), index = upload(hashes);
    const CSpan documents = upload(first_row), items = upload(first_item);
    const Span x = take(kRows, kColumns), dx = take(kRows, kColumns), parameters = take(2, kColumns);
    const Span z = take(kRows, kPieces * kColumns), statistics = take(2, kRows), table = take(kTable, kColumns);
    const Span y = take(kDocuments, kColumns), which = s.arena().take(DType::i32, kDocuments, kColumns);
    const Span logits = take(kDocuments, kLabels), bias = take(1, kLabels), w = take(1, kLabels * kStride),
               values = take(1, kItems);
    const Span gamma = parameters.row_slice(0, 1), beta = parameters.row_slice(1, 2);
    const Span mean = statistics.row_slice(0, 1), rstd = statistics.row_slice(1, 2);
    begin();
    hash_embedding_forward(s, {.y = x, .table = table, .ids = ids, .seed = 8});
    hash_embedding_backward(s, {.dtable = table, .dy = x, .ids = ids, .seed = 8});
    expand_window_forward(s, {.y = z, .x = x, .window = 1});
    expand_window_backward(s, {.dx = dx, .dy = z, .dy2 = dx, .window = 1});
    maxout_layer_norm_forward(s, {.y = dx,
                                  .mean = mean,
                                  .rstd = rstd,
                                  .x = x,
                                  .z = z,
                                  .gamma = gamma,
                                  .beta = beta,
                                  .pieces = kPieces,
                                  .eps = 1e-8f,
                                  .dropout = dropout,
                                  .row_ids = row_ids});
    maxout_layer_norm_backward(s, {.dz = z,
                                   .dgamma = gamma,
                                   .dbeta = beta,
                                   .dy = dx,
                                   .z = z,
                                   .mean = mean,
                                   .rstd = rstd,
                                   .gamma = gamma,
                                   .pieces = kPieces,
                                   .dropout = dropout,
                                   .row_ids = row_ids});
    for (const Reduction reduction : {Reduction::mean, Reduction::max}) {
      const Span saved = reduction == Reduction::max ? which : Span();
      segment_reduce_forward(s, {.y = y, .which = saved, .x = x, .first = documents, .reduction = reduction});
      segment_reduce_backward(s, {.dx = dx, .dy = y, .which = saved, .first = documents, .reduction = reduction});
    }
    parametric_attention_forward(s, {.y = y, .weights = mean, .x = x, .keys = x, .query = gamma, .first = documents});
    parametric_attention_backward(
        s, {.dx = dx, .dquery = beta, .dy = y, .x = x, .keys = x, .query = gamma, .weights = mean, .first = documents});
    sparse_linear_forward(
        s,
        {.y = logits, .w = w, .bias = bias, .index = index, .values = values, .first = items, .class_stride = kStride});
    sparse_linear_backward(s, {.dw = w,
                               .dbias = bias,
                               .dy = logits,
                               .index = index,
                               .values = values,
                               .first = items,
                               .class_stride = kStride});
    s.synchronize();
  });
}

std::string short_name(const std::string& demangled) {
  std::string name = demangled;
  for (const char* space : {"aid::cuda::(anonymous namespace)::", "aid::cuda::", "aid::"}) {
    const size_t length = std::string_view(space).size();
    for (size_t at = 0; (at = name.find(space, at)) != name.npos;) name.erase(at, length);
  }
  for (size_t at = 0; (at = name.find(" >", at)) != name.npos;) name.erase(at, 1);
  if (name.starts_with("void ")) name.erase(0, 5);
  return name.substr(0, name.find('('));
}

}  // namespace aid::gpumodel
