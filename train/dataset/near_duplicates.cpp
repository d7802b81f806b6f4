#include "train/dataset/near_duplicates.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace aid::train::dataset {
namespace {

constexpr int kBands = 32;

// Sebastiano Vigna's splitmix64: its output function mixes well, its sequence makes independent constants.
uint64_t mixed(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// The greatest number of rows a band with (1 - t^r)^bands <= 1e-5.
int rows_for(double threshold) {
  int rows = 1;
  while (rows < 8 && std::pow(1 - std::pow(threshold, rows + 1), kBands) <= 1e-5) ++rows;
  return rows;
}

// What each band of a set's signature hashes to. A value of the signature is the least of a x + b over the set, modulo
// 2^32, each value with its own odd a.
std::array<uint64_t, kBands> bands_of(const std::vector<uint64_t>& set, int rows) {
  const auto values = size_t{kBands} * static_cast<size_t>(rows);
  std::array<uint32_t, kBands * 8> least, a, b;
  for (size_t i = 0; i < values; ++i) {
    const uint64_t constants = mixed(i);
    least[i] = std::numeric_limits<uint32_t>::max();
    a[i] = static_cast<uint32_t>(constants >> 32) | 1;
    b[i] = static_cast<uint32_t>(constants);
  }
  for (const uint64_t shingle : set) {
    const auto x = static_cast<uint32_t>(shingle >> 32);
    for (size_t i = 0; i < values; ++i) least[i] = std::min(least[i], a[i] * x + b[i]);
  }
  std::array<uint64_t, kBands> bands;
  for (size_t band = 0; band < kBands; ++band) {
    uint64_t hash = band;
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row)
      hash = mixed(hash ^ least[band * static_cast<size_t>(rows) + row]);
    bands[band] = hash;
  }
  return bands;
}

}  // namespace

std::vector<uint64_t> shingles_of(std::string_view utf8, int words) {
  constexpr uint64_t kBase = 0x9E3779B97F4A7C15u;
  uint64_t highest = 1;  // kBase^words
  for (int i = 0; i < words; ++i) highest *= kBase;
  std::vector<uint64_t> hashes;  // of the words
  uint64_t word = 0, rolling = 0;
  std::vector<uint64_t> shingles;
  const auto end_word = [&] {
    if (word == 0) return;
    hashes.push_back(mixed(word));
    word = 0;
    rolling = rolling * kBase + hashes.back();
    const auto n = static_cast<size_t>(words);
    if (hashes.size() > n) rolling -= highest * hashes[hashes.size() - 1 - n];
    if (hashes.size() >= n) shingles.push_back(mixed(rolling));
  };
  for (const char c : utf8) {
    const auto byte = static_cast<unsigned char>(c);
    const bool upper = byte >= 'A' && byte <= 'Z';
    if (upper || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte >= 0x80) {
      word = (word + (upper ? byte + 32u : byte) + 1) * 0x100000001B3u;
    } else {
      end_word();
    }
  }
  end_word();
  if (shingles.empty() && !hashes.empty()) shingles.push_back(mixed(rolling));
  std::sort(shingles.begin(), shingles.end());
  shingles.erase(std::unique(shingles.begin(), shingles.end()), shingles.end());
  return shingles;
}

double jaccard(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  size_t both = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const uint64_t x = a[i], y = b[j];
    both += x == y ? 1 : 0;
    i += x <= y ? 1 : 0;
    j += y <= x ? 1 : 0;
  }
  const size_t either = a.size() + b.size() - both;
  return either == 0 ? 0 : static_cast<double>(both) / static_cast<double>(either);
}

std::vector<NearPair> near_pairs(const std::vector<std::vector<uint64_t>>& sets, double threshold,
                                 const ThreadTeam& team) {
  const int rows = rows_for(threshold);
  std::vector<std::array<uint64_t, kBands>> bands(sets.size());
  team.tasks(static_cast<int64_t>(sets.size()),
             [&](int64_t i) { bands[static_cast<size_t>(i)] = bands_of(sets[static_cast<size_t>(i)], rows); });

  // Sizes bound the similarity: it is at most the smaller over the greater.
  const auto possible = [&](size_t a, size_t b) {
    const auto [less, more] = std::minmax({sets[a].size(), sets[b].size()});
    return less > 0 && static_cast<double>(less) >= threshold * static_cast<double>(more);
  };
  std::vector<std::pair<uint32_t, uint32_t>> candidates;
  std::vector<std::pair<uint64_t, uint32_t>> buckets(sets.size());
  for (size_t band = 0; band < kBands; ++band) {
    for (size_t i = 0; i < sets.size(); ++i) buckets[i] = {bands[i][band], static_cast<uint32_t>(i)};
    std::sort(buckets.begin(), buckets.end());
    for (size_t begin = 0, end; begin < buckets.size(); begin = end) {
      for (end = begin; end < buckets.size() && buckets[end].first == buckets[begin].first;) ++end;
      for (size_t i = begin; i < end; ++i)
        for (size_t j = i + 1; j < end; ++j)
          if (possible(buckets[i].second, buckets[j].second))
            candidates.emplace_back(buckets[i].second, buckets[j].second);
    }
    std::sort(candidates.begin(), candidates.end());
    candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  }

  std::vector<NearPair> pairs(candidates.size());
  team.ranges(static_cast<int64_t>(pairs.size()), 64, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const auto [a, b] = candidates[i];
      pairs[i] = {.a = a, .b = b, .similarity = jaccard(sets[a], sets[b])};
    }
  });
  std::erase_if(pairs, [&](const NearPair& pair) { return pair.similarity < threshold; });
  return pairs;
}

}  // namespace aid::train::dataset
