#include "tokenizer/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "tokenizer/utf8.h"

namespace aid::tokenizer {

uint32_t Normalizer::split(std::string_view raw, uint32_t first) {
  text_.clear();
  source_.clear();
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

// Composes one grapheme cluster at a time: no canonical composition crosses their bounds. A cluster's k-th character keeps
// the source of its k-th code point.
void Normalizer::compose(std::string_view raw, uint32_t first) {
  const char* end = raw.data() + raw.size();
  std::string cluster;
  uint32_t index = first;
  uint32_t cluster_first = first;
  const auto flush = [&] {
    utf8proc_uint8_t* composed = nullptr;
    const utf8proc_ssize_t bytes =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(cluster.data()), static_cast<utf8proc_ssize_t>(cluster.size()),
                     &composed, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
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
    append_utf8(code_point, cluster);
    previous = code_point;
    at += length;
  }
  if (!cluster.empty()) flush();
}

void Normalizer::take(char32_t code_point, uint32_t source) {
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
void Normalizer::flush_marks() {
  if (marks_.empty()) return;
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
  constexpr char32_t kCapitalIWithDot = 0x130, kDotAbove = 0x307;
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

void Normalizer::add_to_word(char32_t code_point, uint32_t source) {
  const uint32_t bytes = append_utf8(code_point, text_);
  source_.insert(source_.end(), bytes, source);
  ++word_.characters;
}

void Normalizer::end_word() {
  word_.end = static_cast<uint32_t>(text_.size());
  if (word_.characters != 0) words_.push_back(word_);
  word_ = {.begin = word_.end, .end = word_.end, .characters = 0};
}

}  // namespace aid::tokenizer
