#include "nn/packed_batch.h"

namespace aid::nn {
namespace {

constexpr int64_t kPositionBits = 16;

CSpan upload(Stream& s, const std::vector<int32_t>& values) {
  return s.upload(vector(values.data(), static_cast<int64_t>(values.size())));
}

void check(const TokenBatch& batch, const BertConfig& config, bool with_dropout) {
  const int64_t sequences = batch.sequences();
  AID_CHECK(sequences > 0, "the batch holds no text");
  AID_CHECK(batch.cu_seqlens.front() == 0 && batch.cu_seqlens.back() == batch.tokens(), "cu_seqlens runs from ",
            batch.cu_seqlens.front(), " to ", batch.cu_seqlens.back(), "; expected 0 to the number of ids, ",
            batch.tokens());
  for (int64_t n = 0; n < sequences; ++n) {
    const int64_t length = int64_t{batch.cu_seqlens[n + 1]} - batch.cu_seqlens[n];
    AID_CHECK(length > 0, "text ", n, " of the batch has ", length, " tokens; expected at least [CLS]");
    AID_CHECK(length <= config.max_positions, "text ", n, " of the batch has ", length, " tokens; the model takes ",
              config.max_positions);
  }
  AID_CHECK(batch.types.empty() || batch.types.size() == batch.ids.size(), batch.types.size(), " token types for ",
            batch.ids.size(), " ids");
  if (!with_dropout) return;
  AID_CHECK(batch.sequence_ids.size() == static_cast<size_t>(sequences), batch.sequence_ids.size(),
            " sequence ids for ", sequences, " texts; dropout is keyed by them");
  for (const int32_t id : batch.sequence_ids) {
    AID_CHECK(0 <= id && id < int64_t{1} << 16, "sequence id ", id, "; expected 0 to 65535");
  }
}

}  // namespace

PackedBatch pack(Stream& s, const TokenBatch& batch, const BertConfig& config, const DropoutKey& dropout) {
  check(batch, config, dropout.on);
  const int64_t sequences = batch.sequences();
  const auto row_id = [&](int64_t sequence, int64_t position) {
    return static_cast<int32_t>(static_cast<uint32_t>(batch.sequence_ids[sequence]) << kPositionBits |
                                static_cast<uint32_t>(position));
  };
  std::vector<int32_t> positions, row_ids, first, first_cu = {0}, first_row_ids;
  positions.reserve(batch.ids.size());
  for (int64_t n = 0; n < sequences; ++n) {
    const int32_t begin = batch.cu_seqlens[n], length = batch.cu_seqlens[n + 1] - begin;
    for (int32_t position = 0; position < length; ++position) {
      positions.push_back(position);
      if (dropout.on) row_ids.push_back(row_id(n, position));
    }
    first.push_back(begin);
    first_cu.push_back(static_cast<int32_t>(n + 1));
    if (dropout.on) first_row_ids.push_back(row_id(n, 0));
  }
  // A model without token types (DistilBERT) has no use for them, whatever the tokenizer wrote.
  const bool types = config.types > 0 && !batch.types.empty();
  return {.tokens = batch.tokens(),
          .sequences = sequences,
          .ids = upload(s, batch.ids),
          .types = types ? upload(s, batch.types) : CSpan{},
          .positions = upload(s, positions),
          .first = upload(s, first),
          .all = {.count = batch.tokens(),
                  .cu_seqlens = upload(s, batch.cu_seqlens),
                  .row_ids = dropout.on ? upload(s, row_ids) : CSpan{}},
          .one = {.count = sequences,
                  .cu_seqlens = upload(s, first_cu),
                  .row_ids = dropout.on ? upload(s, first_row_ids) : CSpan{}},
          .dropout = dropout};
}

}  // namespace aid::nn
