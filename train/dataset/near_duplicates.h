// Texts that are nearly the same: MinHash with banding finds candidates, their exact Jaccard similarity decides.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/core/thread_team.h"

namespace aid::train::dataset {

// A text's shingles: hashes of every `words` consecutive words, as a sorted set; of the whole where it has fewer words.
// A word is a run of ASCII letters and digits (compared without their case) and of bytes of other letters, so that
// spacing, line ends and punctuation do not count. Equal hashes of different shingles (64 bits) are not told apart.
std::vector<uint64_t> shingles_of(std::string_view utf8, int words);

// |a and b| / |a or b| of sorted sets. 0 where one is empty.
double jaccard(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b);

struct NearPair {
  size_t a = 0, b = 0;  // a < b
  double similarity = 0;
};

// The pairs of sets with jaccard() >= threshold, sorted by (a, b); never one below it. Candidates are pairs that agree
// in one of 32 bands of a MinHash signature (Broder 1997; banding: Leskovec, Rajaraman, Ullman, "Mining of Massive
// Datasets", 3.4): with r rows a band, a pair of similarity s is one with probability 1 - (1 - s^r)^32. r is the
// greatest for which a pair at the threshold is overlooked at most once in 100,000 times (at 0.8: r = 5, 3e-6).
// The seed is fixed: the same sets give the same pairs.
std::vector<NearPair> near_pairs(const std::vector<std::vector<uint64_t>>& sets, double threshold,
                                 const ThreadTeam& team);

}  // namespace aid::train::dataset
