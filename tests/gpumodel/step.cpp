#include "tests/gpumodel/step.h"

#include <algorithm>
#include <optional>
#include <random>

#include "kernels/rows/cross_entropy.h"
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

}  // namespace

std::vector<Op> count_step(const StepShape& shape) {
  softgpu::set_stream_order(softgpu::StreamOrder::calls);  // at the call, so that a launch falls into its op's time
  softgpu::set_launch_options({.checks = false, .counters = true, .sampled_blocks = shape.sampled_blocks});
  std::vector<TimedLaunch> launches;
  Profiler profiler;
  {
    Stream s({.threads = 1, .target = Target::cuda});
    const nn::TokenBatch batch = random_batch(shape);
    nn::BertClassifier model(beto(shape.layers), shape.compute,
                             shape.training ? nn::Mode::training : nn::Mode::inference, Device::cuda);
    model.update_weights(s);
    std::optional<Training> training;
    if (shape.training) training.emplace(model, shape.batch);
    s.synchronize();
    softgpu::on_launch([&](const softgpu::Launch& launch) { launches.push_back({profiler.now_ns(), launch}); });
    s.set_profiler(&profiler);
    if (training) {
      training->step(s, batch);
    } else {
      model.forward(s, batch);
    }
    s.synchronize();
    softgpu::on_launch({});
  }
  softgpu::set_launch_options(softgpu::options_from_environment());
  return ops_of(profiler.events(), launches);
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
