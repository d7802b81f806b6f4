#include "tokenizer/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "tokenizer/utf8.h"

namespace aid::tokenizer {
namespace {

constexpr char32_t kCapitalIWithDot = 0x130, kDotAbove = 0x307;

}  // namespace

Normalizer::Normalizer(const NormalizerOptions& options) : options_(options) {
  for (char32_t code_point = 0; code_point < kSimpleCodePoints; ++code_point) simple_[code_point] = simple(code_point);
}

Normalizer::Simple Normalizer::simple(char32_t code_point) const {
  const Properties& properties = unicode_[code_point];
  if (options_.clean_text && properties.flags & kRemoved) return {0, Fate::kRemoved};
  const bool doubles = code_point == kCapitalIWithDot && options_.lowercase;
  if (doubles || (options_.strip_accents && properties.flags & kDecomposes)) return {0, Fate::kDepends};
  if (options_.lowercase) code_point += static_cast<char32_t>(properties.lower);
  if (code_point > 0xFFFF) return {0, Fate::kDepends};
  const uint8_t flags = unicode_[code_point].flags;
  const Fate fate = flags & kSpace ? Fate::kSpace : flags & kPunctuation ? Fate::kPunctuation : Fate::kLetter;
  return {static_cast<uint16_t>(code_point), fate};
}

inline void Normalizer::add_to_word(char32_t code_point, uint32_t source) {
  const uint32_t bytes = write_utf8(code_point, text_.data() + size_);
  for (uint32_t i = 0; i < bytes; ++i) source_[size_ + i] = source;
  size_ += bytes;
  ++word_.characters;
}

inline void Normalizer::end_word() {
  word_.end = size_;
  if (word_.characters != 0) words_.push_back(word_);
  word_ = {.begin = size_, .end = size_, .characters = 0};
}

inline void Normalizer::take(char32_t code_point, uint32_t source) {
  if (code_point < kSimpleCodePoints) {
    const Simple simple = simple_[code_point];
    if (simple.fate == Fate::kRemoved) return;
    if (simple.fate != Fate::kDepends) {
      flush_marks();
      if (simple.fate != Fate::kLetter) end_word();
      if (simple.fate != Fate::kSpace) add_to_word(simple.lowered, source);
      if (simple.fate == Fate::kPunctuation) end_word();
      return;
    }
  }
  const uint8_t flags = unicode_[code_point].flags;
  if (options_.clean_text) {
    if (flags & kRemoved) return;
    if (flags & kSpace) code_point = ' ';
  }
  const bool isolated = (flags & kIdeograph) && options_.handle_chinese_chars;
  const auto separate = [&] {
    if (!isolated) return;
    flush_marks();
    end_word();
  };
  separate();
  if (options_.strip_accents) {
    decompose(code_point, source);
  } else {
    lower(code_point, source);
  }
  separate();
}

uint32_t Normalizer::split(std::string_view raw, uint32_t first) {
  // A code point of one byte may become three (U+FFFD), one of two up to five (NFD), one of three or four up to twelve.
  constexpr size_t kGrowth = 4;
  if (text_.size() < kGrowth * raw.size()) {
    text_.resize(kGrowth * raw.size());
    source_.resize(text_.size());
  }
  size_ = 0;
  words_.clear();
  word_ = {};
  uint32_t index = first;
  const char* end = raw.data() + raw.size();
  // Code points below U+0300, whose lead bytes are below 0xCC, are composed already.
  const bool may_compose =
      options_.nfc && std::any_of(raw.begin(), raw.end(), [](char c) { return static_cast<uint8_t>(c) >= 0xCC; });
  if (may_compose) compose(raw, first);
  for (const char* at = raw.data(); at < end; ++index) {
    const auto [code_point, length] = decode_utf8(at, end);
    if (!may_compose) take(code_point, index);
    at += length;
  }
  flush_marks();
  end_word();
  return index - first;
}

// Composes one grapheme cluster at a time: no canonical composition crosses their bounds. A cluster's k-th character
// keeps the source of its k-th code point.
void Normalizer::compose(std::string_view raw, uint32_t first) {
  const char* end = raw.data() + raw.size();
  std::string cluster;
  uint32_t index = first;
  uint32_t cluster_first = first;
  const auto flush = [&] {
    utf8proc_uint8_t* composed = nullptr;
    const utf8proc_ssize_t bytes = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(cluster.data()),
                                                static_cast<utf8proc_ssize_t>(cluster.size()), &composed,
                                                static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
    const char* at = bytes < 0 ? cluster.data() : reinterpret_cast<const char*>(composed);
    const char* stop = bytes < 0 ? at + cluster.size() : at + bytes;
    for (uint32_t k = cluster_first; at < stop; ++k) {
      const auto [code_point, length] = decode_utf8(at, stop);
      take(code_point, std::min(k, index - 1));
      at += length;
    }
    cluster.clear();
    cluster_first = index;
  };
  utf8proc_int32_t state = 0;
  char32_t previous = 0;
  for (const char* at = raw.data(); at < end; ++index) {
    const auto [code_point, length] = decode_utf8(at, end);
    if (!cluster.empty() && utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(previous),
                                                             static_cast<utf8proc_int32_t>(code_point), &state)) {
      flush();
    }
    char bytes[4];
    cluster.append(bytes, write_utf8(code_point, bytes));
    previous = code_point;
    at += length;
  }
  if (!cluster.empty()) flush();
}

void Normalizer::decompose(char32_t code_point, uint32_t source) {
  if (!(unicode_[code_point].flags & kDecomposes)) {
    place(code_point, source, false);
    return;
  }
  bool inserted = false;
  for (char32_t part : Decomposed(code_point)) {
    place(part, source, inserted);
    inserted = true;
  }
}

void Normalizer::place(char32_t code_point, uint32_t source, bool inserted) {
  const Properties& properties = unicode_[code_point];
  if (properties.combining_class != 0) {
    marks_.push_back({code_point, source, properties.combining_class, inserted});
    return;
  }
  flush_marks();
  if (!inserted) last_source_ = source;
  if (!(properties.flags & kMark)) lower(code_point, last_source_);
}

// `tokenizers` hands the sources out in order after the sort, one for each character that starts a decomposition; the
// others share the source before them. So a mark can come to point at its neighbour.
void Normalizer::sort_marks() {
  mark_sources_.clear();
  for (const Mark& mark : marks_) {
    if (!mark.inserted) mark_sources_.push_back(mark.source);
  }
  std::stable_sort(marks_.begin(), marks_.end(),
                   [](const Mark& a, const Mark& b) { return a.combining_class < b.combining_class; });
  auto next = mark_sources_.begin();
  for (const Mark& mark : marks_) {
    if (!mark.inserted) last_source_ = *next++;
    if (!(unicode_[mark.code_point].flags & kMark)) lower(mark.code_point, last_source_);
  }
  marks_.clear();
}

void Normalizer::lower(char32_t code_point, uint32_t source) {
  if (options_.lowercase) {
    if (code_point == kCapitalIWithDot) {
      append('i', source);
      append(kDotAbove, source);
      return;
    }
    code_point += static_cast<char32_t>(unicode_[code_point].lower);
  }
  append(code_point, source);
}

void Normalizer::append(char32_t code_point, uint32_t source) {
  const uint8_t flags = unicode_[code_point].flags;
  if (flags & kSpace) {
    end_word();
  } else if (flags & kPunctuation) {
    end_word();
    add_to_word(code_point, source);
    end_word();
  } else {
    add_to_word(code_point, source);
  }
}

}  // namespace aid::tokenizer
