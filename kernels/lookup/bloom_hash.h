// The hash of Bloom embeddings (hash_embedding.h): MurmurHash3's x64 128-bit variant (Appleby 2011) of one 64-bit key,
// as four 32-bit numbers.
#pragma once

#include <cstdint>

namespace aid {

inline constexpr int kBloomHashes = 4;

struct BloomHash {
  uint32_t of[kBloomHashes];
};

namespace detail {
[[gnu::always_inline]] constexpr uint64_t murmur_mix(uint64_t h) {
  h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
  h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
  return h ^ h >> 33;
}
}  // namespace detail

[[gnu::always_inline]] constexpr BloomHash bloom_hash(uint64_t key, uint32_t seed) {
  constexpr uint64_t kBytes = sizeof(key);
  uint64_t low = key * 0x87c37b91114253d5u;
  low = (low << 31 | low >> 33) * 0x4cf5ad432745937fu;
  low ^= seed ^ kBytes;
  uint64_t high = seed ^ kBytes;
  low += high;
  high += low;
  low = detail::murmur_mix(low);
  high = detail::murmur_mix(high);
  low += high;
  high += low;
  return {{static_cast<uint32_t>(low), static_cast<uint32_t>(low >> 32), static_cast<uint32_t>(high),
           static_cast<uint32_t>(high >> 32)}};
}

}  // namespace aid
