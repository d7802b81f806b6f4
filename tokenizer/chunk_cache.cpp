#include "tokenizer/chunk_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace aid::tokenizer {

ChunkCache::Key ChunkCache::key(std::string_view chunk) {
  const auto length = static_cast<uint32_t>(chunk.size());
  if (length <= kInlineBytes) {
    char padded[kInlineBytes] = {};
    std::memcpy(padded, chunk.data(), length);
    return make_key(load(padded), load(padded + 8), length);
  }
  uint64_t low = 0x243F6A8885A308D3, high = 0x13198A2E03707344;
  for (uint32_t at = 0; at < length; at += 8) {
    const uint64_t word = load(chunk.data() + std::min(at, length - 8));
    low = fold(low ^ word, 0xA0761D6478BD642F);
    high = fold(high ^ word, 0xE7037ED1A0B428DB);
  }
  return make_key(low, high, length);
}

bool ChunkCache::same_text(const Slot& slot, const char* chunk) const {
  return std::memcmp(texts_.data() + slot.ids[2], chunk, slot.length) == 0;
}

// Whether a slot can hold the tokens itself: its offsets are written down as ends, so that they must leave no gap.
bool ChunkCache::fits(const Key& key, const std::vector<Offset>& offsets, uint32_t continuation_bytes) const {
  if (key.length > kInlineBytes || offsets.size() > kInlineTokens) return false;
  uint32_t end = 0;
  for (const Offset& offset : offsets) {
    if (offset.begin != end) return false;
    end = offset.end;
  }
  return offsets.empty() || end == key.length - continuation_bytes;
}

size_t ChunkCache::free_place(const Key& key) const {
  size_t at = key.hash & mask_;
  while (slots_[at].length != 0) at = (at + 1) & mask_;
  return at;
}

void ChunkCache::insert(const Key& key, std::string_view chunk, const std::vector<int32_t>& ids,
                        const std::vector<Offset>& offsets, uint32_t continuation_bytes) {
  if (8 * (used_ + 1) > 5 * (mask_ + 1)) make_room();
  ++used_;
  Slot& slot = slots_[free_place(key)];
  slot = {.low = key.low,
          .high = key.high,
          .ids = {},
          .length = static_cast<uint8_t>(key.length),
          .count = static_cast<uint8_t>(ids.size()),
          .continuation_bytes = static_cast<uint8_t>(continuation_bytes),
          .ends = 0};
  if (fits(key, offsets, continuation_bytes)) {
    std::copy(ids.begin(), ids.end(), slot.ids);
    if (!ids.empty()) slot.ends = static_cast<uint8_t>(offsets[0].end - 1);
    if (ids.size() > 1) slot.ends = static_cast<uint8_t>(slot.ends | (offsets[1].end - 1) << 4);
    return;
  }
  slot.count = kStored;
  slot.ids[0] = static_cast<int32_t>(ids_.size());
  slot.ids[1] = static_cast<int32_t>(ids.size());
  slot.ids[2] = static_cast<int32_t>(texts_.size());
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  offsets_.insert(offsets_.end(), offsets.begin(), offsets.end());
  if (key.length > kInlineBytes) texts_ += chunk;
}

void ChunkCache::Free::operator()(Slot* slots) const { std::free(slots); }

void ChunkCache::allocate(size_t capacity) {
  // Probes go all over the table: huge pages save a TLB miss each.
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t bytes = capacity * sizeof(Slot);
  void* memory = std::aligned_alloc(bytes >= kHugePage ? kHugePage : alignof(Slot), bytes);
  if (memory == nullptr) throw std::bad_alloc();
  if (bytes >= kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
  std::memset(memory, 0, bytes);
  slots_.reset(static_cast<Slot*>(memory));
  mask_ = capacity - 1;
}

void ChunkCache::make_room() {
  const size_t capacity = mask_ + 1;
  if (capacity == kMostSlots) {
    std::memset(static_cast<void*>(slots_.get()), 0, capacity * sizeof(Slot));
    texts_.clear();
    ids_.clear();
    offsets_.clear();
    used_ = 0;
    return;
  }
  const auto slots = std::move(slots_);
  allocate(2 * capacity);
  for (size_t from = 0; from < capacity; ++from) {
    const Slot& slot = slots[from];
    if (slot.length == 0) continue;
    slots_[free_place(make_key(slot.low, slot.high, slot.length))] = slot;
  }
}

}  // namespace aid::tokenizer
