#include "nn/bert.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "nn/initialise.h"
#include "nn/layers/classifier_head.h"
#include "nn/layers/embedding.h"
#include "nn/layers/encoder_layer.h"

namespace aid::nn {
namespace {

constexpr int64_t kParametersPerLayer = 16, kOtherParameters = 9;

bool is_bert(const BertConfig& config) { return config.architecture == BertConfig::Architecture::bert; }

std::string embedding_prefix(const BertConfig& config) {
  return is_bert(config) ? "bert.embeddings." : "distilbert.embeddings.";
}

EncoderLayer::Names layer_names(const BertConfig& config, int64_t layer) {
  if (is_bert(config)) {
    const std::string prefix = "bert.encoder.layer." + std::to_string(layer) + ".";
    return {
        .attention = {.query = prefix + "attention.self.query",
                      .key = prefix + "attention.self.key",
                      .value = prefix + "attention.self.value",
                      .output = prefix + "attention.output.dense",
                      .norm = prefix + "attention.output.LayerNorm"},
        .feed_forward = {
            .up = prefix + "intermediate.dense", .down = prefix + "output.dense", .norm = prefix + "output.LayerNorm"}};
  }
  const std::string prefix = "distilbert.transformer.layer." + std::to_string(layer) + ".";
  return {
      .attention = {.query = prefix + "attention.q_lin",
                    .key = prefix + "attention.k_lin",
                    .value = prefix + "attention.v_lin",
                    .output = prefix + "attention.out_lin",
                    .norm = prefix + "sa_layer_norm"},
      .feed_forward = {.up = prefix + "ffn.lin1", .down = prefix + "ffn.lin2", .norm = prefix + "output_layer_norm"}};
}

ClassifierHead::Names head_names(const BertConfig& config) {
  return {.pooler = is_bert(config) ? "bert.pooler.dense" : "pre_classifier", .classifier = "classifier"};
}

std::vector<EncoderLayer> make_layers(ParameterStore& store, const BertConfig& config, DType compute) {
  std::vector<EncoderLayer> layers;
  layers.reserve(static_cast<size_t>(config.layers));
  for (int64_t i = 0; i < config.layers; ++i) {
    const Rows rows = i + 1 < config.layers ? Rows::all : Rows::first;
    layers.emplace_back(store, layer_names(config, i), config, compute, static_cast<uint32_t>(i), rows);
  }
  return layers;
}

const BertConfig& checked(const BertConfig& config, DType compute, Mode mode, Device device) {
  check_config(config);
  AID_CHECK(computes_in(device, compute), "computes in ", name_of(compute), "; expected f32, bf16 or, on a GPU, f16");
  AID_CHECK(mode == Mode::inference || compute != DType::f16,
            "trains in f16; expected f32 or bf16: small gradients are zero in f16");
  return config;
}

}  // namespace

struct BertClassifier::State {
  State(const BertConfig& the_config, DType the_compute, Mode mode, Device device);

  // What backward needs of the last forward_training; its spans are in the arena.
  struct Pass {
    PackedBatch batch;
    Embedding::Saved embedding;
    std::vector<EncoderLayer::Saved> layers;
    ClassifierHead::Saved head;
  };

  CSpan encode(Stream& s, const PackedBatch& batch, Pass* pass) const;

  BertConfig config;
  DType compute;
  ParameterStore store;
  Embedding embedding;
  std::vector<EncoderLayer> layers;
  ClassifierHead head;
  std::optional<Pass> last;
};

BertClassifier::State::State(const BertConfig& the_config, DType the_compute, Mode mode, Device device)
    : config(checked(the_config, the_compute, mode, device)),
      compute(the_compute),
      store(mode, kParametersPerLayer * config.layers + kOtherParameters, device),
      embedding(store, embedding_prefix(config), config),
      layers(make_layers(store, config, compute)),
      head(store, head_names(config), config) {
  store.allocate();
}

// The last layer's output for the [CLS] rows. pass: null in inference, where two buffers take turns.
CSpan BertClassifier::State::encode(Stream& s, const PackedBatch& batch, Pass* pass) const {
  Arena& arena = s.arena();
  Span x = arena.take(compute, batch.tokens, config.hidden);
  Span free = pass == nullptr ? arena.take(compute, batch.tokens, config.hidden) : Span{};
  embedding.forward(s, x, batch, pass != nullptr ? &pass->embedding : nullptr);
  for (size_t i = 0; i < layers.size(); ++i) {
    const int64_t rows = i + 1 < layers.size() ? batch.tokens : batch.sequences;
    const Span y = pass == nullptr ? free.row_slice(0, rows) : arena.take(compute, rows, config.hidden);
    layers[i].forward(s, y, x, batch, pass != nullptr ? &pass->layers[i] : nullptr);
    free = std::exchange(x, y);
  }
  return x;
}

BertClassifier::BertClassifier(const BertConfig& config, DType compute, Mode mode, Device device)
    : state_(std::make_unique<State>(config, compute, mode, device)) {}
BertClassifier::~BertClassifier() = default;
BertClassifier::BertClassifier(BertClassifier&&) noexcept = default;
BertClassifier& BertClassifier::operator=(BertClassifier&&) noexcept = default;

const BertConfig& BertClassifier::config() const { return state_->config; }

std::span<Parameter> BertClassifier::parameters() { return state_->store.parameters(); }

void BertClassifier::set_value(Parameter& parameter, CSpan value) { state_->store.set_value(parameter, value); }

void BertClassifier::initialise(Parameter& parameter, uint64_t seed) {
  AID_CHECK(state_->store.mode() == Mode::training, "parameter ", parameter.name,
            ": only a model made for training is drawn");
  const std::vector<float> values = initial_values(parameter, state_->config, seed);
  set_value(parameter, vector(values.data(), static_cast<int64_t>(values.size())));
}

void BertClassifier::update_weights(Stream& s) {
  for (const Parameter& parameter : parameters()) {
    AID_CHECK(!parameter.value.empty(), "parameter ", parameter.name, " has no value yet");
  }
  state_->store.update_compute_values(s);
  for (EncoderLayer& layer : state_->layers) layer.update_weights(s);
  state_->head.update_weights(s);
}

Span BertClassifier::forward(Stream& s, const TokenBatch& tokens) {
  const Span logits = s.arena().take(DType::f32, std::max<int64_t>(tokens.sequences(), 0), state_->config.labels);
  const auto scratch = s.arena().mark();
  const PackedBatch batch = pack(s, tokens, state_->config, kNoDropout);
  const CSpan cls = state_->encode(s, batch, nullptr);
  state_->head.forward(s, logits, cls, batch, nullptr);
  s.arena().rewind(scratch);
  return logits;
}

Span BertClassifier::forward_training(Stream& s, const TokenBatch& tokens, const DropoutKey& dropout) {
  AID_CHECK(state_->store.mode() == Mode::training, "forward_training: the model was made for inference");
  state_->last.reset();
  State::Pass pass{.batch = pack(s, tokens, state_->config, dropout)};
  pass.layers.resize(state_->layers.size());
  const Span logits = s.arena().take(DType::f32, pass.batch.sequences, state_->config.labels);
  const CSpan cls = state_->encode(s, pass.batch, &pass);
  state_->head.forward(s, logits, cls, pass.batch, &pass.head);
  state_->last = std::move(pass);
  return logits;
}

void BertClassifier::backward(Stream& s, CSpan dlogits) {
  AID_CHECK(state_->last.has_value(), "backward: no forward_training before it");
  const State::Pass pass = *std::exchange(state_->last, std::nullopt);
  AID_CHECK(dlogits.rows == pass.batch.sequences && dlogits.cols == state_->config.labels, "backward: gradient of ",
            dlogits.rows, " x ", dlogits.cols, " for logits of ", pass.batch.sequences, " x ", state_->config.labels);
  const Span dcls = s.arena().take(state_->compute, pass.batch.sequences, state_->config.hidden);
  state_->head.backward(s, dcls, dlogits, pass.batch, pass.head);
  SplitGradient gradient{.product = dcls, .residual = {}};
  for (size_t i = state_->layers.size(); i-- > 0;) {
    gradient = state_->layers[i].backward(s, gradient, pass.batch, pass.layers[i]);
  }
  state_->embedding.backward(s, gradient, pass.batch, pass.embedding);
}

}  // namespace aid::nn
