#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace aid::tokenizer {

/// Code points of the original text: [begin, end).
struct Offset {
  uint32_t begin = 0, end = 0;
  bool operator==(const Offset&) const = default;
};

/// Remembers how each chunk of raw text (what stands between ASCII white space) was encoded. Natural text repeats its
/// chunks, so that most of them cost one probe of 32 bytes. Starts small, doubles as it fills and forgets everything at
/// its bound of 160 thousand chunks, about 12 MiB.
class ChunkCache {
 public:
  static constexpr uint32_t kInlineBytes = 16;    // a chunk of up to so many bytes is its own key
  static constexpr uint32_t kInlineTokens = 3;    // up to so many tokens lie in the slot
  static constexpr uint32_t kLongestChunk = 255;  // bytes; longer ones are not remembered
  static constexpr uint8_t kStored = 255;         // Slot::count of one with more tokens

  struct Key {
    uint64_t low, high;  // the bytes, zero padded; of a longer chunk two hashes
    uint32_t length;
    uint32_t hash;
  };

  struct alignas(32) Slot {
    uint64_t low, high;
    int32_t ids[kInlineTokens];  // kStored: {first of ids() and offsets(), how many, a longer chunk's place in texts_}
    uint8_t length;              // 0: empty
    uint8_t count;
    uint8_t continuation_bytes;  // bytes less code points
    uint8_t ends;  // code points, less one, where the first token ends (low four bits) and the second (high)
  };

  ChunkCache() { allocate(kFirstSlots); }

  /// Key of a chunk of up to kInlineBytes, of which kInlineBytes can be read.
  static Key short_key(const char* chunk, uint32_t length) {
    // Bytes past the end are masked by a window that slides over 16 ones and 16 zeros.
    static constexpr uint64_t kOnes = ~uint64_t{0};
    alignas(32) static constexpr uint64_t kWindow[4] = {kOnes, kOnes, 0, 0};
    const char* mask = reinterpret_cast<const char*>(kWindow) + kInlineBytes - length;
    return make_key(load(chunk) & load(mask), load(chunk + 8) & load(mask + 8), length);
  }
  static Key key(std::string_view chunk);

  void prefetch(const Key& key) const { __builtin_prefetch(&slots_[key.hash & mask_]); }

  /// The slot of a chunk, or null.
  const Slot* find(const Key& key, const char* chunk) const {
    for (size_t at = key.hash & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (((slot.low ^ key.low) | (slot.high ^ key.high) | (slot.length ^ key.length)) == 0) {
        if (key.length <= kInlineBytes || same_text(slot, chunk)) return &slot;
      } else if (slot.length == 0) {
        return nullptr;
      }
    }
  }
  /// Calls use(id, offset) for each token of a slot, offsets counting from the chunk's start.
  template <typename Use>
  void for_each_token(const Slot& slot, Use&& use) const {
    if (slot.count == kStored) {
      const auto first = static_cast<size_t>(slot.ids[0]);
      for (size_t i = first; i < first + static_cast<size_t>(slot.ids[1]); ++i) use(ids_[i], offsets_[i]);
      return;
    }
    const uint32_t ends[kInlineTokens] = {1u + (slot.ends & 15u), 1u + (slot.ends >> 4),
                                          uint32_t{slot.length} - slot.continuation_bytes};
    for (uint32_t i = 0; i < slot.count; ++i) use(slot.ids[i], Offset{i == 0 ? 0 : ends[i - 1], ends[i]});
  }
  const std::vector<int32_t>& ids() const { return ids_; }
  const std::vector<Offset>& offsets() const { return offsets_; }

  /// Adds a chunk that find() does not know. Offsets count from its start.
  void insert(const Key& key, std::string_view chunk, const std::vector<int32_t>& ids,
              const std::vector<Offset>& offsets, uint32_t continuation_bytes);

 private:
  static constexpr size_t kFirstSlots = size_t{1} << 12, kMostSlots = size_t{1} << 18;

  struct Free {
    void operator()(Slot* slots) const;
  };

  static uint64_t load(const char* bytes) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof(word));
    return word;
  }
  static uint64_t fold(uint64_t a, uint64_t b) {
    __extension__ using Product = unsigned __int128;
    const Product product = static_cast<Product>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  static Key make_key(uint64_t low, uint64_t high, uint32_t length) {
    return {low, high, length, static_cast<uint32_t>(fold(low ^ 0x9E3779B97F4A7C15, high ^ 0xD1B54A32D192ED03))};
  }
  bool same_text(const Slot& slot, const char* chunk) const;
  bool fits(const Key& key, const std::vector<Offset>& offsets, uint32_t continuation_bytes) const;
  size_t free_place(const Key& key) const;
  void allocate(size_t capacity);
  void make_room();

  std::unique_ptr<Slot[], Free> slots_;
  std::string texts_;
  std::vector<int32_t> ids_;
  std::vector<Offset> offsets_;
  size_t mask_ = 0;
  size_t used_ = 0;
};

}  // namespace aid::tokenizer
