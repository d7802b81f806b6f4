#include "train/text/text_encoder.h"

#include <algorithm>
#include <array>

#include "kernels/core/check.h"

namespace aid::train {
namespace {

constexpr std::array kPolicyNames = {"head", "tail", "head-tail", "windows"};  // in the order of LongPolicy
constexpr int64_t kSpecials = 2;                                               // [CLS] and [SEP]
// Texts that one task of the team encodes: enough to make handing them out cheap.
constexpr int64_t kTextsPerTask = 8;

}  // namespace

const char* name_of(LongPolicy policy) { return kPolicyNames[static_cast<size_t>(policy)]; }

std::optional<LongPolicy> long_policy_from_name(std::string_view name) {
  const auto found = std::find(kPolicyNames.begin(), kPolicyNames.end(), name);
  if (found == kPolicyNames.end()) return std::nullopt;
  return static_cast<LongPolicy>(found - kPolicyNames.begin());
}

TextEncoder::TextEncoder(const tokenizer::Tokenizer& tokenizer, const LongOptions& options)
    : tokenizer_(&tokenizer), options_(options) {
  AID_CHECK(options.max_length > kSpecials, "max length ", options.max_length,
            ": expected 3 at least ([CLS], a token, [SEP])");
  if (options.policy != LongPolicy::windows) return;
  AID_CHECK(options.stride >= 0 && options.stride < options.max_length - kSpecials, "stride ", options.stride,
            ": windows of max length ", options.max_length, " share from 0 to ", options.max_length - kSpecials - 1,
            " tokens");
  AID_CHECK(options.max_windows >= 0, "max windows ", options.max_windows, ": expected 0 (any number) or more");
}

void TextEncoder::encode(std::string_view utf8, EncodedTexts& out) const {
  const int64_t room = options_.max_length - kSpecials;
  const int64_t step = room - options_.stride;  // windows only
  int64_t useful = -1;                          // tokens of the text that can matter; -1: all
  if (options_.policy == LongPolicy::head) useful = room;
  if (options_.policy == LongPolicy::windows && options_.max_windows > 0)
    useful = room + (options_.max_windows - 1) * step;

  // One more than can matter, to know whether there are more.
  thread_local std::vector<int32_t> tokens;
  tokens.clear();
  tokenizer_->encode_ids(utf8, tokens, useful < 0 ? tokenizer::kNoLimit : static_cast<size_t>(useful + 1));
  auto count = static_cast<int64_t>(tokens.size());
  bool cut = false;
  if (useful >= 0 && count > useful) {
    count = useful;
    cut = true;
  }

  const auto begin_sequence = [&] { out.ids.push_back(tokenizer_->cls_id()); };
  const auto add = [&](int64_t begin, int64_t end) {
    out.ids.insert(out.ids.end(), tokens.begin() + begin, tokens.begin() + end);
  };
  const auto end_sequence = [&] {
    out.ids.push_back(tokenizer_->sep_id());
    out.sequence_begin.push_back(static_cast<int64_t>(out.ids.size()));
  };
  if (options_.policy == LongPolicy::windows) {
    for (int64_t begin = 0;; begin += step) {
      const int64_t end = std::min(begin + room, count);
      begin_sequence();
      add(begin, end);
      end_sequence();
      if (end == count) break;
    }
  } else {
    begin_sequence();
    if (count <= room) {
      add(0, count);
    } else if (options_.policy == LongPolicy::tail) {
      add(count - room, count);
    } else {
      const int64_t head = room * 128 / 510;
      add(0, head);
      add(count - (room - head), count);
    }
    end_sequence();
    cut = cut || count > room;
  }
  out.first_sequence.push_back(out.sequences());
  out.cut += cut ? 1 : 0;
}

EncodedTexts TextEncoder::encode(std::span<const std::string> utf8, const ThreadTeam& team) const {
  const auto texts = static_cast<int64_t>(utf8.size());
  std::vector<EncodedTexts> parts(static_cast<size_t>((texts + kTextsPerTask - 1) / kTextsPerTask));
  team.tasks(static_cast<int64_t>(parts.size()), [&](int64_t part) {
    const int64_t end = std::min(texts, (part + 1) * kTextsPerTask);
    for (int64_t t = part * kTextsPerTask; t < end; ++t)
      encode(utf8[static_cast<size_t>(t)], parts[static_cast<size_t>(part)]);
  });
  EncodedTexts all;
  for (const EncodedTexts& part : parts) all.append(part);
  return all;
}

void EncodedTexts::append(const EncodedTexts& other) {
  const int64_t id_base = sequence_begin.back(), sequence_base = sequences();
  ids.insert(ids.end(), other.ids.begin(), other.ids.end());
  for (size_t s = 1; s < other.sequence_begin.size(); ++s) sequence_begin.push_back(id_base + other.sequence_begin[s]);
  for (size_t t = 1; t < other.first_sequence.size(); ++t)
    first_sequence.push_back(sequence_base + other.first_sequence[t]);
  cut += other.cut;
}

}  // namespace aid::train
