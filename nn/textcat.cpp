#include "nn/textcat.h"

#include "kernels/elements/activation.h"
#include "kernels/matrix/sparse_linear.h"
#include "kernels/rows/cross_entropy.h"
#include "kernels/rows/parametric_attention.h"
#include "nn/textcat_state.h"

namespace aid::nn {
namespace {

using Pooling = TextCatConfig::Pooling;

constexpr int64_t kOtherParameters = 11;  // than tok2vec's
constexpr int64_t kPieces = 3;            // of the pooled maxout

void check(const TextCatConfig& config) {
  AID_CHECK(config.labels > 0 && (config.bag || config.tok2vec), "a text categorizer of ", config.labels, " labels",
            config.bag || config.tok2vec ? "" : ", without bag and network");
  AID_CHECK(!config.tok2vec || (config.pooling == Pooling::reductions) == !config.reductions.empty(),
            "reductions: ", config.reductions.size(), " of them; expected some, or attention");
}

}  // namespace

TextCat::State::State(const TextCatConfig& the_config, Device device, Mode mode)
    : config(the_config),
      store(mode, kOtherParameters + (config.tok2vec ? Tok2Vec::parameters(*config.tok2vec) : 0), device) {
  check(config);
  if (config.bag) {
    bag_weight = &store.add("bag.weight", {config.labels * config.bag->length});
    bag_bias = &store.add("bag.bias", {config.labels});
  }
  if (config.tok2vec) {
    const int64_t width = config.tok2vec->width;
    tok2vec.emplace(store, "tok2vec.", *config.tok2vec);
    if (config.pooling != Pooling::reductions) {
      query = &store.add("attention.query", {width});
      pooled.emplace(store, Maxout::Options{.name = "pooled", .out = width, .in = width, .pieces = kPieces});
    }
    if (config.pooling == Pooling::keyed_attention) {
      key.emplace(store, Linear::Options{.names = {"attention.key"}, .out = width, .in = width, .compute = DType::f32});
    }
    output.emplace(
        store,
        Linear::Options{.names = {"output"}, .out = config.labels, .in = config.features(), .compute = DType::f32});
  }
  store.allocate();
}

// Probabilities of sums.
void TextCat::State::activate(Stream& s, Span y, CSpan x) const {
  if (config.exclusive) {
    cross_entropy(s, {.probabilities = y, .logits = x});
  } else {
    activation_forward(s, {.y = y, .x = x, .activation = Activation::logistic});
  }
}

void TextCat::State::bag_sums(Stream& s, Span y, const TextCatBatch& batch) const {
  sparse_linear_forward(s, {.y = y,
                            .w = bag_weight->value,
                            .bias = bag_bias->value,
                            .index = upload_all(s, batch.bag_index),
                            .values = upload_all(s, batch.bag_values),
                            .first = upload_all(s, batch.first_item),
                            .class_stride = config.bag->class_stride});
}

void TextCat::State::bag_forward(Stream& s, Span y, const TextCatBatch& batch) const {
  if (!config.bag->output_layer) return bag_sums(s, y, batch);
  const Scratch scratch(s);
  const Span sums = s.arena().take(DType::f32, y.rows, y.cols);
  bag_sums(s, sums, batch);
  activate(s, y, sums);
}

// y: a row for each run of padding and each document in turn.
void TextCat::State::pool(Stream& s, Span y, const Tok2Vec::Encoded& encoded) const {
  const int64_t width = encoded.rows.cols;
  for (size_t i = 0; i < config.reductions.size(); ++i) {
    const auto begin = static_cast<int64_t>(i) * width;
    segment_reduce_forward(s, {.y = y.col_slice(begin, begin + width),
                               .x = encoded.rows,
                               .first = encoded.first,
                               .reduction = config.reductions[i]});
  }
  if (config.pooling == Pooling::reductions) return;
  const Scratch scratch(s);
  Arena& arena = s.arena();
  CSpan keys = encoded.rows;
  if (key) {
    const Span made = arena.take(DType::f32, keys.rows, width);
    key->forward(s, made, keys, Activation::gelu_erf);
    keys = made;
  }
  const Span sums = arena.take(DType::f32, y.rows, width), weights = arena.take(DType::f32, keys.rows);
  parametric_attention_forward(
      s,
      {.y = sums, .weights = weights, .x = encoded.rows, .keys = keys, .query = query->value, .first = encoded.first});
  pooled->forward(s, of_documents(y), of_documents(sums), of_documents(sums));
}

TextCat::TextCat(const TextCatConfig& config, Device device, Mode mode)
    : state_(std::make_unique<State>(config, device, mode)) {}
TextCat::~TextCat() = default;
TextCat::TextCat(TextCat&&) noexcept = default;
TextCat& TextCat::operator=(TextCat&&) noexcept = default;

const TextCatConfig& TextCat::config() const { return state_->config; }

std::span<Parameter> TextCat::parameters() { return state_->store.parameters(); }

void TextCat::set_value(Parameter& parameter, CSpan value) { state_->store.set_value(parameter, value); }

void TextCat::update_weights(Stream& s) {
  for (const Parameter& parameter : parameters()) {
    AID_CHECK(!parameter.value.empty(), "parameter ", parameter.name, " has no value yet");
  }
  if (state_->tok2vec) state_->tok2vec->update_weights(s);
  if (state_->key) state_->key->update_weights(s);
  if (state_->pooled) state_->pooled->update_weights(s);
  if (state_->output) state_->output->update_weights(s);
}

Span TextCat::forward(Stream& s, const TextCatBatch& batch) const {
  const State& state = *state_;
  const int64_t documents = batch.documents(), labels = state.config.labels;
  AID_CHECK(documents > 0, "the batch holds no document");
  const Span scores = s.arena().take(DType::f32, documents, labels);
  if (!state.tok2vec) {
    state.bag_forward(s, scores, batch);
    return scores;
  }
  const Scratch scratch(s);
  const Span rows = s.arena().take(DType::f32, 2 * documents + 1, state.config.features());
  const Span features = of_documents(rows);
  const int64_t pooled = state.config.bag ? labels : 0;  // where its columns begin
  if (state.config.bag) state.bag_forward(s, features.col_slice(0, labels), batch);
  state.pool(s, rows.col_slice(pooled, rows.cols), state.tok2vec->forward(s, batch));
  const Span sums = s.arena().take(DType::f32, documents, labels);
  state.output->forward(s, sums, features);
  state.activate(s, scores, sums);
  return scores;
}

}  // namespace aid::nn
