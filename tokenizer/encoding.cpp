// Encodings with [CLS] and [SEP], cut into windows (utils/truncation.rs, tokenizer/encoding.rs and
// processors/template.rs of huggingface/tokenizers).
#include <algorithm>

#include "tokenizer/error.h"
#include "tokenizer/tokenizer.h"

namespace aid::tokenizer {
namespace {

struct Sequence {
  std::vector<int32_t> ids;
  std::vector<Offset> offsets;
};

struct Window {
  size_t begin, end;  // tokens
};

/// The windows of up to `length` tokens that cover `count`: the one to keep, then those left over.
std::vector<Window> windows_of(size_t count, size_t length, const EncodeOptions& options) {
  if (length >= count) return {{0, count}};
  if (length == 0) return {{0, 0}, {0, count}};
  if (options.stride >= length) {
    throw Error("stride is " + std::to_string(options.stride) + ", but only " + std::to_string(length) +
                " tokens of a text fit into max_length; expected fewer than that");
  }
  const size_t step = length - options.stride;
  std::vector<Window> windows;
  if (options.direction == EncodeOptions::Direction::kRight) {
    for (size_t begin = 0; windows.empty() || windows.back().end < count; begin += step) {
      windows.push_back({begin, std::min(begin + length, count)});
    }
  } else {
    for (size_t end = count; windows.empty() || windows.back().begin > 0; end -= step) {
      windows.push_back({end > length ? end - length : 0, end});
    }
  }
  return windows;
}

/// How many tokens of each text may stay when both together may have `room`.
std::pair<size_t, size_t> shares(size_t a, size_t b, bool pair, size_t room, EncodeOptions::Truncation truncation) {
  if (room == 0) return {0, 0};
  if (a + b <= room) return {a, b};
  if (truncation == EncodeOptions::Truncation::kLongestFirst) {
    if (!pair) return {room, 0};
    size_t shorter = std::min(a, b), longer = shorter > room ? shorter : std::max(shorter, room - shorter);
    if (shorter + longer > room) {
      shorter = room / 2;
      longer = shorter + room % 2;
    }
    return a > b ? std::pair(longer, shorter) : std::pair(shorter, longer);
  }
  const bool first = truncation == EncodeOptions::Truncation::kOnlyFirst;
  if (!first && !pair) throw Error("truncation of the second text only, but there is no second text");
  size_t& cut = first ? a : b;
  const size_t excess = a + b - room;
  if (cut <= excess) {
    throw Error("max_length leaves room for " + std::to_string(room) +
                " tokens, but the text that may be cut has only " + std::to_string(cut) + " of the " +
                std::to_string(a + b) + " there are; raise max_length or let both be cut");
  }
  cut -= excess;
  return {a, b};
}

class Builder {
 public:
  Builder(int32_t cls, int32_t sep) : sep_(sep) { add_special(cls, 0); }
  void add(const Sequence& sequence, Window window, int32_t type) {
    const auto from = static_cast<ptrdiff_t>(window.begin), to = static_cast<ptrdiff_t>(window.end);
    encoding_.ids.insert(encoding_.ids.end(), sequence.ids.begin() + from, sequence.ids.begin() + to);
    encoding_.offsets.insert(encoding_.offsets.end(), sequence.offsets.begin() + from, sequence.offsets.begin() + to);
    encoding_.type_ids.resize(encoding_.ids.size(), type);
    encoding_.special.resize(encoding_.ids.size(), 0);
    add_special(sep_, type);
  }
  Encoding take() { return std::move(encoding_); }

 private:
  void add_special(int32_t id, int32_t type) {
    encoding_.ids.push_back(id);
    encoding_.offsets.push_back({});
    encoding_.type_ids.push_back(type);
    encoding_.special.push_back(1);
  }

  int32_t sep_;
  Encoding encoding_;
};

}  // namespace

std::vector<Encoding> Tokenizer::encode(std::string_view a, std::optional<std::string_view> b,
                                        const EncodeOptions& options) const {
  const size_t specials = b ? 3 : 2;
  if (options.max_length < specials) {
    throw Error("max_length is " + std::to_string(options.max_length) + "; [CLS] and [SEP] alone take " +
                std::to_string(specials));
  }
  Sequence first, second;
  encode_ids(a, first.ids, first.offsets);
  if (b) encode_ids(*b, second.ids, second.offsets);
  const auto [keep_first, keep_second] =
      shares(first.ids.size(), second.ids.size(), b.has_value(), options.max_length - specials, options.truncation);
  const std::vector<Window> windows = windows_of(first.ids.size(), keep_first, options);
  const std::vector<Window> pair_windows = windows_of(second.ids.size(), keep_second, options);

  std::vector<Encoding> encodings;
  const auto add = [&](Window window, Window pair_window) {
    Builder builder(cls_id(), sep_id());
    builder.add(first, window, 0);
    if (b) builder.add(second, pair_window, 1);
    encodings.push_back(builder.take());
  };
  add(windows[0], pair_windows[0]);
  for (size_t i = 1; i < windows.size(); ++i) {
    for (const Window& pair_window : pair_windows) add(windows[i], pair_window);
  }
  for (size_t i = 1; i < pair_windows.size(); ++i) add(windows[0], pair_windows[i]);
  return encodings;
}

}  // namespace aid::tokenizer
