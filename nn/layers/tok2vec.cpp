#include "nn/layers/tok2vec.h"

#include "kernels/lookup/gather_rows.h"
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

// The words' vectors, and below them the row of zeros that padding is made of.
Span Tok2Vec::embed(Stream& s, const TextCatBatch& batch) const {
  const int64_t words = batch.words;
  const Span embedded = s.arena().take(DType::f32, words + 1, config_.width);
  const std::vector<float> zeros(static_cast<size_t>(config_.width));
  s.upload(embedded.row_slice(words, words + 1), part(zeros, 0, config_.width));
  if (words == 0) return embedded;
  const Scratch scratch(s);
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
                               .seed = config_.tables[t].seed});
  }
  if (projection_) {
    projection_->forward(s, next_columns(config_.width),
                         s.upload(matrix(batch.vectors.data(), words, config_.vector_width)));
  }
  mix_.forward(s, embedded.row_slice(0, words), concatenated, {});
  return embedded;
}

Tok2Vec::Encoded Tok2Vec::forward(Stream& s, const TextCatBatch& batch) const {
  const int64_t padding = config_.padding();
  const auto zero_row = static_cast<int32_t>(batch.words);
  std::vector<int32_t> word_of_row(static_cast<size_t>(padding), zero_row), first = {0};
  for (int64_t d = 0; d < batch.documents(); ++d) {
    first.push_back(static_cast<int32_t>(word_of_row.size()));
    word_of_row.insert(word_of_row.end(), batch.word_of_token.begin() + batch.first_token[d],
                       batch.word_of_token.begin() + batch.first_token[d + 1]);
    first.push_back(static_cast<int32_t>(word_of_row.size()));
    word_of_row.insert(word_of_row.end(), static_cast<size_t>(padding), zero_row);
  }
  const auto rows = static_cast<int64_t>(word_of_row.size());
  first.push_back(static_cast<int32_t>(rows));
  Arena& arena = s.arena();
  const Span x = arena.take(DType::f32, rows, config_.width);
  const Encoded encoded{.rows = x, .first = s.upload(part(first, 0, static_cast<int64_t>(first.size())))};
  const Scratch scratch(s);
  gather_rows(s, {.y = x, .x = embed(s, batch), .index = s.upload(part(word_of_row, 0, rows))});
  const Span windows = arena.take(DType::f32, rows, config_.width * (2 * config_.window + 1));
  for (const Maxout& layer : layers_) {
    expand_window_forward(s, {.y = windows, .x = x, .window = config_.window});
    layer.forward(s, x, windows, x);
  }
  return encoded;
}

}  // namespace aid::nn
