#include <numeric>

#include "kernels/elements/activation.h"
#include "kernels/elements/cast.h"
#include "kernels/lookup/gather_rows.h"
#include "kernels/matrix/sparse_linear.h"
#include "kernels/rows/parametric_attention.h"
#include "kernels/rows/softmax.h"
#include "nn/textcat_state.h"

namespace aid::nn {
namespace {

using Pooling = TextCatConfig::Pooling;

Span zeros(Stream& s, int64_t rows, int64_t cols) {
  const Span x = s.arena().take(DType::f32, rows, cols);
  const std::vector<float> host(static_cast<size_t>(rows * cols));
  s.upload(x, matrix(host.data(), rows, cols));
  return x;
}

// y += x
void add(Stream& s, Span y, CSpan x) {
  std::vector<int32_t> rows(static_cast<size_t>(x.rows));
  std::iota(rows.begin(), rows.end(), 0);
  scatter_add_rows(s, {.y = y, .x = x, .index = s.upload(vector(rows.data(), x.rows))});
}

Span copy_of(Stream& s, CSpan x) {
  const Span y = s.arena().take(DType::f32, x.rows, x.cols);
  std::vector<int32_t> rows(static_cast<size_t>(x.rows));
  std::iota(rows.begin(), rows.end(), 0);
  gather_rows(s, {.y = y, .x = x, .index = s.upload(vector(rows.data(), x.rows))});
  return y;
}

}  // namespace

void TextCat::State::activate_backward(Stream& s, Span dx, CSpan dy, CSpan x, CSpan y) const {
  if (config.exclusive) {
    softmax_backward(s, {.dx = dx, .dy = dy, .y = y});
  } else {
    activation_backward(s, {.dx = dx, .dy = dy, .x = x, .activation = Activation::logistic});
  }
}

void TextCat::State::pool_training(Stream& s, Span y, const DropoutKey& dropout, float p) {
  Arena& arena = s.arena();
  const Tok2Vec::Encoded& encoded = saved.encoded;
  const int64_t width = encoded.rows.cols;
  saved.which.clear();
  for (size_t i = 0; i < config.reductions.size(); ++i) {
    const auto begin = static_cast<int64_t>(i) * width;
    const bool max = config.reductions[i] == Reduction::max;
    const Span which = max ? arena.take(DType::i32, y.rows, width) : Span();
    segment_reduce_forward(s, {.y = y.col_slice(begin, begin + width),
                               .which = which,
                               .x = encoded.rows,
                               .first = encoded.first,
                               .reduction = config.reductions[i]});
    saved.which.push_back(which);
  }
  if (config.pooling == Pooling::reductions) return;
  saved.keys = encoded.rows;
  if (key) {
    const Span sums = arena.take(DType::f32, encoded.rows.rows, width), keys = arena.take(DType::f32, sums.rows, width);
    key->forward(s, sums, encoded.rows);
    activation_forward(s, {.y = keys, .x = sums, .activation = Activation::gelu_erf});
    saved.key_sums = sums;
    saved.keys = keys;
  }
  const Span sums = arena.take(DType::f32, y.rows, width), weights = arena.take(DType::f32, encoded.rows.rows);
  parametric_attention_forward(s, {.y = sums,
                                   .weights = weights,
                                   .x = encoded.rows,
                                   .keys = saved.keys,
                                   .query = query->value,
                                   .first = encoded.first});
  saved.weights = weights;
  const Span documents = copy_of(s, of_documents(sums));
  saved.sums = documents;
  std::vector<int32_t> numbers(static_cast<size_t>(documents.rows));
  std::iota(numbers.begin(), numbers.end(), 0);
  saved.pooled =
      pooled->forward_training(s, of_documents(y), documents, documents, dropout.at(tok2vec->dropout_sites(), p),
                               s.upload(vector(numbers.data(), documents.rows)));
}

Span TextCat::forward_training(Stream& s, const TextCatBatch& batch, const DropoutKey& key, float p) {
  State& state = *state_;
  State::Saved& saved = state.saved;
  const int64_t documents = batch.documents(), labels = state.config.labels;
  AID_CHECK(documents > 0, "the batch holds no document");
  saved = {.batch = batch};
  Arena& arena = s.arena();
  const Span scores = arena.take(DType::f32, documents, labels);
  saved.scores = scores;
  Span bag;
  if (state.config.bag) {
    const Span sums = arena.take(DType::f32, documents, labels);
    bag = state.tok2vec ? arena.take(DType::f32, documents, labels) : scores;
    if (!state.config.bag->output_layer) bag = sums;
    state.bag_sums(s, sums, batch);
    if (state.config.bag->output_layer) state.activate(s, bag, sums);
    saved.bag_sums = sums;
    saved.bag = bag;
    if (!state.tok2vec) return bag;
  }
  const Span rows = arena.take(DType::f32, 2 * documents + 1, state.config.features());
  const Span features = of_documents(rows);
  const int64_t pooled = state.config.bag ? labels : 0;  // where its columns begin
  if (state.config.bag) cast(s, {.y = features.col_slice(0, labels), .x = bag});
  saved.encoded = state.tok2vec->forward_training(s, batch, key, p, saved.tok2vec);
  state.pool_training(s, rows.col_slice(pooled, rows.cols), key, p);
  saved.features = copy_of(s, features);
  const Span sums = arena.take(DType::f32, documents, labels);
  state.output->forward(s, sums, saved.features);
  saved.output_sums = sums;
  state.activate(s, scores, sums);
  return scores;
}

void TextCat::State::bag_backward(Stream& s, CSpan dy) const {
  CSpan dsums = dy;
  if (config.bag->output_layer) {
    const Span made = s.arena().take(DType::f32, dy.rows, dy.cols);
    activate_backward(s, made, dy, saved.bag_sums, saved.bag);
    dsums = made;
  }
  sparse_linear_backward(s, {.dw = bag_weight->gradient,
                             .dbias = bag_bias->gradient,
                             .dy = dsums,
                             .index = upload_all(s, saved.batch.bag_index),
                             .values = upload_all(s, saved.batch.bag_values),
                             .first = upload_all(s, saved.batch.first_item),
                             .class_stride = config.bag->class_stride});
}

void TextCat::State::pool_backward(Stream& s, CSpan dy) const {
  const Tok2Vec::Encoded& encoded = saved.encoded;
  Arena& arena = s.arena();
  const int64_t rows = encoded.rows.rows, width = encoded.rows.cols;
  const Span drows = zeros(s, rows, width), part = arena.take(DType::f32, rows, width);
  for (size_t i = 0; i < config.reductions.size(); ++i) {
    const auto begin = static_cast<int64_t>(i) * width;
    segment_reduce_backward(s, {.dx = part,
                                .dy = dy.col_slice(begin, begin + width),
                                .which = saved.which[i],
                                .first = encoded.first,
                                .reduction = config.reductions[i]});
    add(s, drows, part);
  }
  if (config.pooling != Pooling::reductions) {
    // The residual maxout of the documents' sums.
    const Span dpooled = copy_of(s, of_documents(dy)), dinput = arena.take(DType::f32, dpooled.rows, width);
    pooled->backward(s, dinput, dpooled, saved.sums, saved.pooled);
    const Span dsums = zeros(s, dy.rows, width);
    add(s, of_documents(dsums), dpooled);
    add(s, of_documents(dsums), dinput);
    const Span dkeys = key ? arena.take(DType::f32, rows, width) : Span();
    parametric_attention_backward(s, {.dx = drows,
                                      .dkeys = dkeys,
                                      .dquery = query->gradient,
                                      .dy = dsums,
                                      .x = encoded.rows,
                                      .keys = saved.keys,
                                      .query = query->value,
                                      .weights = saved.weights,
                                      .first = encoded.first});
    if (key) {
      activation_backward(s, {.dx = dkeys, .dy = dkeys, .x = saved.key_sums, .activation = Activation::gelu_erf});
      key->backward_weight(s, dkeys, encoded.rows);
      key->backward_input(s, part, dkeys);
      add(s, drows, part);
    }
  }
  tok2vec->backward(s, drows, saved.batch, saved.tok2vec);
}

void TextCat::backward(Stream& s, CSpan dscores) {
  const State& state = *state_;
  const State::Saved& saved = state.saved;
  const Scratch scratch(s);
  const int64_t documents = dscores.rows, labels = state.config.labels;
  if (!state.tok2vec) return state.bag_backward(s, dscores);
  CSpan dsums = dscores;
  if (!state.config.exclusive) {
    const Span made = s.arena().take(DType::f32, documents, labels);
    state.activate_backward(s, made, dscores, saved.output_sums, saved.scores);
    dsums = made;
  }
  state.output->backward_weight(s, dsums, saved.features);
  const Span dfeatures = s.arena().take(DType::f32, documents, saved.features.cols);
  state.output->backward_input(s, dfeatures, dsums);
  const int64_t pooled = state.config.bag ? labels : 0;
  if (state.config.bag) state.bag_backward(s, copy_of(s, dfeatures.col_slice(0, labels)));
  const Span drows = zeros(s, 2 * documents + 1, saved.features.cols - pooled);
  add(s, of_documents(drows), copy_of(s, dfeatures.col_slice(pooled, saved.features.cols)));
  state.pool_backward(s, drows);
}

}  // namespace aid::nn
