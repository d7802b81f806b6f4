#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "tokenizer/encoder.h"
#include "tokenizer/error.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer {
namespace {

/// A run of texts that one thread takes at a time: large enough that taking it costs nothing beside encoding it.
struct Unit {
  size_t first, last;  // texts
};

std::vector<Unit> make_units(std::span<const std::string_view> texts) {
  constexpr size_t kBytes = size_t{1} << 17;
  std::vector<Unit> units;
  size_t bytes = kBytes;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (bytes >= kBytes) {
      units.push_back({i, i});
      bytes = 0;
    }
    units.back().last = i + 1;
    bytes += texts[i].size();
  }
  return units;
}

/// Calls work(take) on `threads` threads; take() gives the next of `count` numbers, or `count` when there are no more.
/// The first exception is thrown on.
void share(size_t count, int threads, const std::function<void(const std::function<size_t()>&)>& work) {
  std::atomic<size_t> next = 0;
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const std::function<size_t()> take = [&] { return std::min(next.fetch_add(1, std::memory_order_relaxed), count); };
  const auto run = [&] {
    try {
      work(take);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  std::vector<std::jthread> others;
  const auto useful = static_cast<int>(std::min<size_t>(count, static_cast<size_t>(std::max(threads, 1))));
  for (int i = 1; i < useful; ++i) others.emplace_back(run);
  run();
  others.clear();  // joins
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

struct Tokenizer::Shared {
  Shared(Config read, const LoadOptions& options)
      : config(std::move(read)),
        model{config.normalizer, WordPiece(config.vocabulary, config.word_piece),
              AddedTokens(config.added_tokens, options.special_tokens_in_text)} {
    for (const auto& [token, id] : config.vocabulary) name(id, token);
    for (const AddedToken& token : config.added_tokens) name(token.id, token.content);
  }
  void name(int32_t id, const std::string& token) {
    if (tokens.size() <= static_cast<size_t>(id)) tokens.resize(static_cast<size_t>(id) + 1);
    tokens[static_cast<size_t>(id)] = token;
  }

  Config config;
  Model model;
  std::vector<std::string> tokens;  // by id
  std::mutex mutex;
  std::vector<std::unique_ptr<Encoder>> idle;  // kept with what they have in their caches
};

/// An encoder for one thread, given back at the end of its scope.
class Tokenizer::Lease {
 public:
  explicit Lease(Shared& shared) : shared_(shared) {
    {
      const std::lock_guard lock(shared_.mutex);
      if (!shared_.idle.empty()) {
        encoder_ = std::move(shared_.idle.back());
        shared_.idle.pop_back();
      }
    }
    if (!encoder_) encoder_ = std::make_unique<Encoder>(shared_.model);
  }
  ~Lease() {
    const std::lock_guard lock(shared_.mutex);
    shared_.idle.push_back(std::move(encoder_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Encoder* operator->() const { return encoder_.get(); }

 private:
  Shared& shared_;
  std::unique_ptr<Encoder> encoder_;
};

Tokenizer::Tokenizer(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

Tokenizer Tokenizer::load(const std::filesystem::path& model_dir, const LoadOptions& options) {
  return Tokenizer(std::make_shared<Shared>(read_config(model_dir, options), options));
}

void Tokenizer::save(const std::filesystem::path& model_dir) const { write_files(shared_->config.files, model_dir); }

size_t Tokenizer::vocab_size() const { return shared_->tokens.size(); }
int32_t Tokenizer::cls_id() const { return shared_->config.cls_id; }
int32_t Tokenizer::sep_id() const { return shared_->config.sep_id; }
int32_t Tokenizer::unk_id() const { return shared_->config.word_piece.unk_id; }
int32_t Tokenizer::pad_id() const { return shared_->config.pad_id; }
size_t Tokenizer::model_max_length() const { return shared_->config.model_max_length; }
const NormalizerOptions& Tokenizer::normalizer() const { return shared_->config.normalizer; }

const std::string& Tokenizer::id_to_token(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= vocab_size()) {
    throw Error("id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(vocab_size()) + " ids");
  }
  return shared_->tokens[static_cast<size_t>(id)];
}

size_t Tokenizer::encode_ids(std::string_view text, std::vector<int32_t>& ids, size_t limit) const {
  return Lease(*shared_)->encode(text, limit, ids, nullptr);
}

size_t Tokenizer::encode_ids(std::string_view text, std::vector<int32_t>& ids, std::vector<Offset>& offsets,
                             size_t limit) const {
  return Lease(*shared_)->encode(text, limit, ids, &offsets);
}

Batch Tokenizer::encode_batch(std::span<const std::string_view> texts, int threads, size_t limit) const {
  const std::vector<Unit> units = make_units(texts);
  std::vector<std::vector<int32_t>> parts(units.size());
  Batch batch{.ids = nullptr, .begins = std::vector<size_t>(texts.size() + 1)};
  share(units.size(), threads, [&](const auto& take) {
    const Lease encoder(*shared_);
    for (size_t unit = take(); unit < units.size(); unit = take()) {
      for (size_t i = units[unit].first; i < units[unit].last; ++i) {
        batch.begins[i + 1] = encoder->encode(texts[i], limit, parts[unit], nullptr);
      }
    }
  });
  for (size_t i = 0; i < texts.size(); ++i) batch.begins[i + 1] += batch.begins[i];
  batch.ids = std::make_unique_for_overwrite<int32_t[]>(batch.begins.back());
  share(units.size(), threads, [&](const auto& take) {
    for (size_t unit = take(); unit < units.size(); unit = take()) {
      std::copy(parts[unit].begin(), parts[unit].end(), batch.ids.get() + batch.begins[units[unit].first]);
    }
  });
  return batch;
}

UnknownStats Tokenizer::count_unknown(std::span<const std::string_view> texts, int threads) const {
  // WordPiece vocabularies hold their alphabet as tokens of one character, at a word's start or within it.
  std::vector<bool> known(0x110000);
  const std::string& prefix = shared_->config.word_piece.continuing_subword_prefix;
  for (const auto& [token, id] : shared_->config.vocabulary) {
    std::string_view rest = token;
    if (rest.size() > prefix.size() && rest.starts_with(prefix)) rest.remove_prefix(prefix.size());
    if (rest.empty()) continue;
    const auto [code_point, length] = decode_utf8(rest.data(), rest.data() + rest.size());
    if (length == rest.size()) known[code_point] = true;
  }

  UnknownStats stats;
  std::unordered_map<char32_t, int64_t> counts;
  std::mutex mutex;
  const std::vector<Unit> units = make_units(texts);
  share(units.size(), threads, [&](const auto& take) {
    UnknownStats mine;
    std::unordered_map<char32_t, int64_t> my_counts;
    Normalizer normalizer(shared_->config.normalizer);
    std::vector<int32_t> ids;
    std::vector<Offset> offsets;
    const auto count_characters = [&](std::string_view word) {
      normalizer.split(word, 0);
      const std::string_view text = normalizer.text();
      for (const char* at = text.data(); at < text.data() + text.size();) {
        const auto [code_point, length] = decode_utf8(at, text.data() + text.size());
        if (!known[code_point]) ++my_counts[code_point];
        at += length;
      }
    };
    for (size_t unit = take(); unit < units.size(); unit = take()) {
      for (size_t i = units[unit].first; i < units[unit].last; ++i) {
        ids.clear();
        offsets.clear();
        mine.tokens += static_cast<int64_t>(encode_ids(texts[i], ids, offsets));
        const char* at = texts[i].data();
        const char* end = at + texts[i].size();
        uint32_t code_points = 0;  // before `at`
        const auto advance = [&](uint32_t to) {
          for (; code_points < to; ++code_points) at += decode_utf8(at, end).length;
          return at;
        };
        for (size_t k = 0; k < ids.size(); ++k) {
          if (ids[k] != unk_id()) continue;
          ++mine.unknown;
          const char* begin = advance(offsets[k].begin);
          const std::string_view word(begin, static_cast<size_t>(advance(offsets[k].end) - begin));
          if (word != id_to_token(unk_id())) count_characters(word);
        }
      }
    }
    const std::lock_guard lock(mutex);
    stats.tokens += mine.tokens;
    stats.unknown += mine.unknown;
    for (const auto& [code_point, count] : my_counts) counts[code_point] += count;
  });

  constexpr size_t kCommonest = 10;
  stats.characters.assign(counts.begin(), counts.end());
  std::sort(stats.characters.begin(), stats.characters.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (stats.characters.size() > kCommonest) stats.characters.resize(kCommonest);
  return stats;
}

}  // namespace aid::tokenizer
