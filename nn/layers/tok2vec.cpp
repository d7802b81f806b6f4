#include "nn/layers/tok2vec.h"

#include <numeric>

#include "kernels/elements/dropout.h"
#include "kernels/lookup/gather_rows.h"
#include "kernels/lookup/group_by_row.h"
#include "kernels/lookup/hash_embedding.h"
#include "kernels/rows/expand_window.h"

namespace aid::nn {
namespace {

constexpr int64_t kBytes = 256;  // values of a character

template <class T>
CSpan part(const std::vector<T>& values, int64_t begin, int64_t count) {
  return vector(values.data() + begin, count);
}

}  // namespace

Tok2Vec::Tok2Vec(ParameterStore& store, const std::string& prefix, const Tok2VecConfig& config)
    : config_(config),
      mix_(
          store,
          {.name = prefix + "embed", .out = config.width, .in = config.concatenated(), .pieces = config.embed_pieces}) {
  if (const auto& characters = config.characters) {
    characters_ = &store.add(prefix + "embed.characters", {characters->count * kBytes, characters->width});
  }
  for (size_t i = 0; i < config.tables.size(); ++i) {
    tables_.push_back(&store.add(prefix + "embed.table." + std::to_string(i), {config.tables[i].rows, config.width}));
  }
  if (config.vector_width > 0) {
    projection_.emplace(store, Linear::Options{.names = {prefix + "embed.vectors"},
                                               .out = config.width,
                                               .in = config.vector_width,
                                               .compute = DType::f32,
                                               .bias = false});
  }
  for (int64_t layer = 0; layer < config.depth; ++layer) {
    layers_.emplace_back(store, Maxout::Options{.name = prefix + "encode." + std::to_string(layer),
                                                .out = config.width,
                                                .in = config.width * (2 * config.window + 1),
                                                .pieces = config.pieces});
  }
}

int64_t Tok2Vec::parameters(const Tok2VecConfig& config) {
  constexpr int64_t kOfMaxout = 4;
  return kOfMaxout * (1 + config.depth) + static_cast<int64_t>(config.tables.size()) + 2;
}

void Tok2Vec::update_weights(Stream& s) {
  if (projection_) projection_->update_weights(s);
  mix_.update_weights(s);
  for (Maxout& layer : layers_) layer.update_weights(s);
}

Span Tok2Vec::with_zero_row(Stream& s, const TextCatBatch& batch) const {
  const Span embedded = s.arena().take(DType::f32, batch.words + 1, config_.width);
  const std::vector<float> zeros(static_cast<size_t>(config_.width));
  s.upload(embedded.row_slice(batch.words, batch.words + 1), part(zeros, 0, config_.width));
  return embedded;
}

Span Tok2Vec::concatenate(Stream& s, const TextCatBatch& batch, const std::vector<CSpan>& scales) const {
  const int64_t words = batch.words;
  const Span concatenated = s.arena().take(DType::f32, words, config_.concatenated());
  int64_t column = 0;
  const auto next_columns = [&](int64_t width) {
    column += width;
    return concatenated.col_slice(column - width, column);
  };
  for (int64_t c = 0; characters_ != nullptr && c < config_.characters->count; ++c) {
    gather_rows(s, {.y = next_columns(config_.characters->width),
                    .x = characters_->value.row_slice(c * kBytes, (c + 1) * kBytes),
                    .index = s.upload(part(batch.characters, c * words, words))});
  }
  for (size_t t = 0; t < tables_.size(); ++t) {
    hash_embedding_forward(s, {.y = next_columns(config_.width),
                               .table = tables_[t]->value,
                               .ids = s.upload(part(batch.ids, static_cast<int64_t>(t) * words, words)),
                               .seed = config_.tables[t].seed,
                               .scale = scales.empty() ? CSpan() : scales[t]});
  }
  if (projection_) {
    projection_->forward(s, next_columns(config_.width),
                         s.upload(matrix(batch.vectors.data(), words, config_.vector_width)));
  }
  return concatenated;
}

// The words' vectors, and below them the row of zeros that padding is made of.
Span Tok2Vec::embed(Stream& s, const TextCatBatch& batch) const {
  const Span embedded = with_zero_row(s, batch);
  if (batch.words == 0) return embedded;
  const Scratch scratch(s);
  mix_.forward(s, embedded.row_slice(0, batch.words), concatenate(s, batch, {}), {});
  return embedded;
}

Span Tok2Vec::embed_training(Stream& s, const TextCatBatch& batch, const DropoutKey& key, float p, Saved& saved) const {
  const Span embedded = with_zero_row(s, batch);
  if (batch.words == 0) return embedded;
  const std::vector<float> ones(static_cast<size_t>(config_.width), 1.0f);
  const int32_t row = 0;
  for (size_t t = 0; t < tables_.size(); ++t) {
    const Span scale = s.arena().take(DType::f32, config_.width);
    const auto site = static_cast<uint32_t>(1 + layers_.size() + t);
    dropout_forward(s, {.y = scale,
                        .x = s.upload(part(ones, 0, config_.width)),
                        .dropout = key.at(site, p),
                        .row_ids = s.upload(vector(&row, 1))});
    saved.scales.push_back(scale);
  }
  saved.concatenated = concatenate(s, batch, saved.scales);
  saved.mix = mix_.forward_training(s, embedded.row_slice(0, batch.words), saved.concatenated, {}, {}, {});
  return embedded;
}

Tok2Vec::Rows Tok2Vec::rows_of(const TextCatBatch& batch) const {
  const auto zero_row = static_cast<int32_t>(batch.words);
  const auto padding = static_cast<size_t>(config_.padding());
  Rows rows{.word = std::vector<int32_t>(padding, zero_row), .first = {0}};
  const auto end_segment = [&rows] { rows.first.push_back(static_cast<int32_t>(rows.word.size())); };
  for (int64_t d = 0; d < batch.documents(); ++d) {
    end_segment();
    rows.word.insert(rows.word.end(), batch.word_of_token.begin() + batch.first_token[d],
                     batch.word_of_token.begin() + batch.first_token[d + 1]);
    end_segment();
    rows.word.insert(rows.word.end(), padding, zero_row);
  }
  end_segment();
  return rows;
}

Tok2Vec::Encoded Tok2Vec::forward(Stream& s, const TextCatBatch& batch) const {
  const Rows rows = rows_of(batch);
  const auto count = static_cast<int64_t>(rows.word.size());
  Arena& arena = s.arena();
  const Span x = arena.take(DType::f32, count, config_.width);
  const Encoded encoded{.rows = x, .first = s.upload(part(rows.first, 0, static_cast<int64_t>(rows.first.size())))};
  const Scratch scratch(s);
  gather_rows(s, {.y = x, .x = embed(s, batch), .index = s.upload(part(rows.word, 0, count))});
  const Span windows = arena.take(DType::f32, count, config_.width * (2 * config_.window + 1));
  for (const Maxout& layer : layers_) {
    expand_window_forward(s, {.y = windows, .x = x, .window = config_.window});
    layer.forward(s, x, windows, x);
  }
  return encoded;
}

Tok2Vec::Encoded Tok2Vec::forward_training(Stream& s, const TextCatBatch& batch, const DropoutKey& key, float p,
                                           Saved& saved) const {
  const Rows rows = rows_of(batch);
  const auto count = static_cast<int64_t>(rows.word.size());
  std::vector<int32_t> numbers(rows.word.size());
  std::iota(numbers.begin(), numbers.end(), 0);
  saved.row_ids = s.upload(part(numbers, 0, count));
  saved.word_of_row = s.upload(part(rows.word, 0, count));
  saved.dropout = key.at(0, p);
  Arena& arena = s.arena();
  Span x = arena.take(DType::f32, count, config_.width);
  gather_rows(s, {.y = x, .x = embed_training(s, batch, key, p, saved), .index = saved.word_of_row});
  dropout_forward(s, {.y = x, .x = x, .dropout = saved.dropout, .row_ids = saved.row_ids});
  const Span windows = arena.take(DType::f32, count, config_.width * (2 * config_.window + 1));
  for (size_t l = 0; l < layers_.size(); ++l) {
    expand_window_forward(s, {.y = windows, .x = x, .window = config_.window});
    const Span y = arena.take(DType::f32, count, config_.width);
    saved.layers.push_back(
        layers_[l].forward_training(s, y, windows, x, key.at(static_cast<uint32_t>(1 + l), p), saved.row_ids));
    saved.inputs.push_back(x);
    x = y;
  }
  return {.rows = x, .first = s.upload(part(rows.first, 0, static_cast<int64_t>(rows.first.size())))};
}

void Tok2Vec::backward(Stream& s, Span drows, const TextCatBatch& batch, const Saved& saved) const {
  const Scratch scratch(s);
  Arena& arena = s.arena();
  const int64_t wide = config_.width * (2 * config_.window + 1);
  const Span windows = arena.take(DType::f32, drows.rows, wide), dwindows = arena.take(DType::f32, drows.rows, wide);
  for (size_t l = layers_.size(); l-- > 0;) {
    expand_window_forward(s, {.y = windows, .x = saved.inputs[l], .window = config_.window});
    layers_[l].backward(s, dwindows, drows, windows, saved.layers[l]);
    expand_window_backward(s, {.dx = drows, .dy = dwindows, .dy2 = drows, .window = config_.window});
  }
  if (batch.words == 0) return;
  dropout_forward(s, {.y = drows, .x = drows, .dropout = saved.dropout, .row_ids = saved.row_ids});
  const Span dembedded = arena.take(DType::f32, batch.words + 1, config_.width);
  const std::vector<float> zeros(static_cast<size_t>(dembedded.size()));
  s.upload(dembedded, matrix(zeros.data(), dembedded.rows, dembedded.cols));
  add_groups(s, {.table = dembedded,
                 .dz = drows,
                 .groups = group_by_row(s, saved.word_of_row, dembedded.rows),
                 .skipped = batch.words});
  embed_backward(s, dembedded.row_slice(0, batch.words), batch, saved);
}

void Tok2Vec::embed_backward(Stream& s, CSpan dembedded, const TextCatBatch& batch, const Saved& saved) const {
  const int64_t words = batch.words;
  const Span dconcatenated = s.arena().take(DType::f32, words, config_.concatenated());
  mix_.backward(s, dconcatenated, dembedded, saved.concatenated, saved.mix);
  int64_t column = 0;
  const auto next_columns = [&](int64_t width) {
    column += width;
    return dconcatenated.col_slice(column - width, column);
  };
  for (int64_t c = 0; characters_ != nullptr && c < config_.characters->count; ++c) {
    add_groups(s, {.table = characters_->gradient.row_slice(c * kBytes, (c + 1) * kBytes),
                   .dz = next_columns(config_.characters->width),
                   .groups = group_by_row(s, s.upload(part(batch.characters, c * words, words)), kBytes)});
  }
  for (size_t t = 0; t < tables_.size(); ++t) {
    hash_embedding_backward(s, {.dtable = tables_[t]->gradient,
                                .dy = next_columns(config_.width),
                                .ids = s.upload(part(batch.ids, static_cast<int64_t>(t) * words, words)),
                                .seed = config_.tables[t].seed,
                                .scale = saved.scales[t]});
  }
  if (projection_) {
    projection_->backward_weight(s, next_columns(config_.width),
                                 s.upload(matrix(batch.vectors.data(), words, config_.vector_width)));
  }
}

}  // namespace aid::nn
