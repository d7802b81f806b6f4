#include "tokenizer/spacy/tokenizer.h"

#include "tokenizer/error.h"
#include "tokenizer/spacy/chunks.h"
#include "tokenizer/spacy/rules.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer::spacy {
namespace {

// Words beyond which all are forgotten before the next text: about 20 MiB.
constexpr size_t kMostWords = size_t{1} << 17;
constexpr uint64_t kLongestText = uint64_t{1} << 30;  // code points

std::string repaired(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    const auto [code_point, length] = decode_utf8(at, end);
    append_utf8(valid, code_point);
    at += length;
  }
  return valid;
}

}  // namespace

struct Tokenizer::Model {
  explicit Model(Rules read) : rules(std::move(read)), special_cases(rules) {}
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  Rules rules;
  SpecialCases special_cases;
};

Tokenizer Tokenizer::load(const std::filesystem::path& folder) {
  return Tokenizer(std::make_shared<const Model>(read_rules(folder)));
}

Tokenizer::Tokenizer(std::shared_ptr<const Model> model) : model_(std::move(model)), splitter_(model_->rules) {}

void Tokenizer::forget() {
  cache_ = ChunkCache();
  words_.clear();
  numbers_.clear();
  numbers_with_norm_.clear();
}

void Tokenizer::tokenize(std::string_view text, std::vector<Token>& tokens) {
  if (text.size() >= kLongestText) {
    if (const uint64_t code_points = count_code_points(text); code_points >= kLongestText) {
      throw Error("a text of " + std::to_string(code_points) +
                  " code points: spaCy's tokenizer takes fewer than 2^30 at once; split it");
    }
  }
  if (words_.size() > kMostWords) forget();
  const bool valid = is_utf8(text);
  const std::string replacement = valid ? "" : repaired(text);
  placed_.clear();
  special_ = false;
  for_each_chunk(valid ? text : replacement, [this](const Chunk& chunk) { place(chunk); });
  if (special_) apply_special_cases();
  tokens.resize(placed_.size());
  for (size_t i = 0; i < placed_.size(); ++i) {
    tokens[i] = {words_[placed_[i].word].lexeme, placed_[i].offset, placed_[i].space};
  }
}

// Appends a chunk's tokens to placed_.
void Tokenizer::place(const Chunk& chunk) {
  const auto append = [&](int32_t word, Offset offset) {
    const auto number = static_cast<uint32_t>(word);
    special_ = special_ || words_[number].symbol != 0;
    placed_.push_back({number, {chunk.begin + offset.begin, chunk.begin + offset.end}, false});
  };
  const bool remembered = chunk.text.size() <= ChunkCache::kLongestChunk;
  const ChunkCache::Key key = remembered ? ChunkCache::key(chunk.text) : ChunkCache::Key{};
  if (const auto* slot = remembered ? cache_.find(key, chunk.text.data()) : nullptr) {
    cache_.for_each_token(*slot, append);
  } else {
    split_new(chunk.text);
    for (size_t i = 0; i < chunk_words_.size(); ++i) append(chunk_words_[i], chunk_offsets_[i]);
    const size_t code_points = chunk.end - chunk.begin;
    if (remembered) {
      cache_.insert(key, chunk.text, chunk_words_, chunk_offsets_,
                    static_cast<uint32_t>(chunk.text.size() - code_points));
    }
  }
  placed_.back().space = chunk.space;
}

// Fills chunk_words_ and chunk_offsets_.
void Tokenizer::split_new(std::string_view chunk) {
  splitter_.split(chunk, pieces_);
  chunk_words_.clear();
  chunk_offsets_.clear();
  uint32_t code_points = 0;
  for (const Piece& piece : pieces_) {
    const std::string_view text = chunk.substr(piece.begin, piece.end - piece.begin);
    const uint32_t end = code_points + static_cast<uint32_t>(count_code_points(text));
    chunk_words_.push_back(static_cast<int32_t>(word_of(text, piece.norm)));
    chunk_offsets_.push_back({code_points, end});
    code_points = end;
  }
}

// The number of a word, with the NORM of an exception unless null.
uint32_t Tokenizer::word_of(std::string_view text, const std::string* norm) {
  constexpr uint32_t kNone = static_cast<uint32_t>(-1);
  uint32_t& number = norm == nullptr ? numbers_.try_emplace(std::string(text), kNone).first->second
                                     : numbers_with_norm_.try_emplace(norm, kNone).first->second;
  if (number == kNone) {
    Word word{make_lexeme(text, model_->rules.norms), 0};
    word.symbol = model_->special_cases.symbol(word.lexeme.orth);
    if (norm != nullptr) word.lexeme.norm = string_id(*norm);
    number = static_cast<uint32_t>(words_.size());
    words_.push_back(word);
  }
  return number;
}

void Tokenizer::apply_special_cases() {
  std::vector<SpecialCases::Token> symbols;
  symbols.reserve(placed_.size());
  for (const Placed& token : placed_) symbols.push_back({words_[token.word].symbol, token.space});
  std::vector<SpecialCases::Found> found;
  model_->special_cases.find(symbols, found);
  if (found.empty()) return;
  std::vector<Placed> replaced;
  size_t next = 0;
  for (const SpecialCases::Found& exception : found) {
    const auto copy_to = [&](size_t end) {
      for (; next < end; ++next) replaced.push_back(placed_[next]);
    };
    copy_to(exception.begin);
    // As spaCy has it, spaces that were between the tokens are within the exception's.
    uint32_t at = placed_[next].offset.begin;
    for (const auto& token : *exception.replacement) {
      const uint32_t end = at + static_cast<uint32_t>(count_code_points(token.orth));
      replaced.push_back({word_of(token.orth, token.norm.empty() ? nullptr : &token.norm), {at, end}, false});
      at = end;
    }
    next = exception.end;
    replaced.back().space = placed_[next - 1].space;
  }
  replaced.insert(replaced.end(), placed_.begin() + static_cast<std::ptrdiff_t>(next), placed_.end());
  placed_ = std::move(replaced);
}

}  // namespace aid::tokenizer::spacy
