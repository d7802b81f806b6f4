#include "train/spacy/document_features.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "tokenizer/utf8.h"
#include "train/spacy/attributes.h"

namespace aid::train {
namespace {

using tokenizer::spacy::Token;
using Word = DocumentFeatures::Word;

// orth is a hash already.
struct WordHash {
  size_t operator()(const Word& word) const { return word.orth ^ std::rotl(word.norm, 1) ^ (word.space ? 1 : 0); }
};
using WordNumbers = std::unordered_map<Word, int32_t, WordHash>;

// MurmurHash3_x86_32 of a key's 8 bytes (Appleby; thinc/backends/cpu_kernels, MurmurHash3.cpp).
uint32_t murmur_hash_3(uint64_t key, uint32_t seed) {
  uint32_t hash = seed;
  for (uint32_t block : {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)}) {
    block = std::rotl(block * 0xCC9E2D51u, 15) * 0x1B873593u;
    hash = std::rotl(hash ^ block, 13) * 5 + 0xE6546B64u;
  }
  hash ^= sizeof key;
  hash = (hash ^ hash >> 16) * 0x85EBCA6Bu;
  hash = (hash ^ hash >> 13) * 0xC2B2AE35u;
  return hash ^ hash >> 16;
}

// A word's bytes from both ends in turn: the first, the last, the second...; 255 behind them (Doc.to_utf8_array()).
void append_characters(std::string_view word, int64_t count, std::vector<uint8_t>& out) {
  constexpr uint8_t kNone = 255;
  size_t begin = 0, end = word.size();
  for (int64_t i = 0; i < count; ++i) {
    if (begin == end) {
      out.push_back(kNone);
    } else {
      out.push_back(static_cast<uint8_t>(i % 2 == 0 ? word[begin++] : word[--end]));
    }
  }
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

DocumentFeatures FeatureReader::read(std::string_view text, std::span<const Token> tokens) const {
  DocumentFeatures features;
  features.tokens = static_cast<int64_t>(tokens.size());
  if (architecture_->config.tok2vec) read_words(text, tokens, features);
  if (architecture_->config.bag) read_bag(tokens, features);
  return features;
}

void FeatureReader::read_words(std::string_view text, std::span<const Token> tokens, DocumentFeatures& features) const {
  const nn::Tok2VecConfig& config = *architecture_->config.tok2vec;
  const std::vector<uint64_t>& attributes = architecture_->attributes;
  const bool reads_space =
      std::find(attributes.begin(), attributes.end(), *attribute_number("SPACY")) != attributes.end();
  WordNumbers numbers;
  features.word_of_token.reserve(tokens.size());
  const char* at = text.data();
  uint32_t code_points = 0;  // before `at`
  const auto move_to = [&](uint32_t code_point) {
    for (; code_points < code_point; ++code_points) at += tokenizer::decode_utf8(at, text.data() + text.size()).length;
    return at;
  };
  for (const Token& token : tokens) {
    const Word word{token.lexeme.orth, token.lexeme.norm, reads_space && token.space};
    const auto [known, is_new] = numbers.try_emplace(word, static_cast<int32_t>(features.words.size()));
    features.word_of_token.push_back(known->second);
    if (!is_new) continue;
    features.words.push_back(word);
    for (const uint64_t attribute : attributes) {
      features.ids.push_back(static_cast<int64_t>(attribute_of(token, attribute)));
    }
    if (config.characters) {
      const char* const begin = move_to(token.offset.begin);
      const char* const end = move_to(token.offset.end);
      append_characters({begin, static_cast<size_t>(end - begin)}, config.characters->count, features.characters);
    }
    if (config.vector_width > 0) {
      const int32_t row = vectors_->row_of(attribute_of(token, vectors_->attribute()));
      const bool last = row < 0 && architecture_->last_vector_for_unknown;
      features.vectors.push_back(last ? static_cast<int32_t>(vectors_->rows() - 1) : row);
    }
  }
}

void FeatureReader::read_bag(std::span<const Token> tokens, DocumentFeatures& features) const {
  std::vector<uint64_t> ids, keys;
  ids.reserve(tokens.size());
  for (const Token& token : tokens) ids.push_back(attribute_of(token, architecture_->bag_attribute));
  keys = ids;
  for (int64_t n = 2; n <= architecture_->ngram_size; ++n) {
    const auto words = static_cast<size_t>(n);
    for (size_t i = 0; i + words <= ids.size(); ++i) {
      keys.push_back(tokenizer::spacy::murmur_hash_64a(
          {reinterpret_cast<const char*>(ids.data() + i), words * sizeof(uint64_t)}, 0));
    }
  }
  std::sort(keys.begin(), keys.end());
  // A power of two.
  const auto mask = static_cast<uint32_t>(architecture_->config.bag->length - 1);
  for (size_t begin = 0, end = 0; begin < keys.size(); begin = end) {
    while (end < keys.size() && keys[end] == keys[begin]) ++end;
    for (const uint32_t seed : {0u, 1u}) {
      features.bag_index.push_back(static_cast<int32_t>(murmur_hash_3(keys[begin], seed) & mask));
      features.bag_values.push_back(static_cast<float>(end - begin));
    }
  }
}

nn::TextCatBatch FeatureReader::batch(std::span<const DocumentFeatures* const> documents) const {
  nn::TextCatBatch batch;
  WordNumbers numbers;
  struct Place {
    const DocumentFeatures* document;
    size_t word;
  };
  std::vector<Place> words;  // distinct
  std::vector<int32_t> number_of;
  for (const DocumentFeatures* one : documents) {
    const DocumentFeatures& document = *one;
    number_of.clear();
    for (size_t i = 0; i < document.words.size(); ++i) {
      const auto [known, is_new] = numbers.try_emplace(document.words[i], static_cast<int32_t>(words.size()));
      if (is_new) words.push_back({&document, i});
      number_of.push_back(known->second);
    }
    for (const int32_t word : document.word_of_token) batch.word_of_token.push_back(number_of[word]);
    batch.first_token.push_back(static_cast<int32_t>(batch.word_of_token.size()));
    append(batch.bag_index, document.bag_index);
    append(batch.bag_values, document.bag_values);
    batch.first_item.push_back(static_cast<int32_t>(batch.bag_index.size()));
  }
  batch.words = static_cast<int64_t>(words.size());
  if (!architecture_->config.tok2vec) return batch;
  const nn::Tok2VecConfig& config = *architecture_->config.tok2vec;
  const size_t tables = config.tables.size();
  for (size_t table = 0; table < tables; ++table) {
    for (const auto& [document, word] : words) batch.ids.push_back(document->ids[word * tables + table]);
  }
  if (config.characters) {
    const auto count = static_cast<size_t>(config.characters->count);
    for (size_t c = 0; c < count; ++c) {
      for (const auto& [document, word] : words) batch.characters.push_back(document->characters[word * count + c]);
    }
  }
  if (config.vector_width > 0) {
    const auto width = static_cast<size_t>(config.vector_width);
    batch.vectors.resize(words.size() * width);
    for (size_t i = 0; i < words.size(); ++i) {
      const int32_t row = words[i].document->vectors[words[i].word];
      if (row >= 0) std::memcpy(batch.vectors.data() + i * width, vectors_->row(row).data(), width * sizeof(float));
    }
  }
  return batch;
}

}  // namespace aid::train
