// Where a model drops, and how its masks are keyed: by (seed, step, site, row, element), so that a mask depends neither
// on the order of the texts nor on the micro-batch that a text travels in.
//   site     0 embeddings, 1 classifier, and of layer l: 4 l + 4 attention probabilities, + 5 attention output,
//            + 6 feed-forward output. Attention puts the head below its site, (site << 8 | head): 1024 and more, which
//            the others stay below in up to 250 layers (check_config).
//   row      sequence id * 2^16 + position: of a token
//   element  the column; in attention the key's position
#pragma once

#include "kernels/core/philox.h"
#include "kernels/core/span.h"

namespace aid::nn {

namespace dropout_site {
inline constexpr uint32_t embeddings = 0, classifier = 1;
constexpr uint32_t attention_probabilities(uint32_t layer) { return 4 * layer + 4; }
constexpr uint32_t attention_output(uint32_t layer) { return 4 * layer + 5; }
constexpr uint32_t feed_forward_output(uint32_t layer) { return 4 * layer + 6; }
}  // namespace dropout_site

struct DropoutKey {
  uint64_t seed;
  uint32_t step;
  bool on = true;

  Dropout at(uint32_t site, float p) const { return {.p = on ? p : 0.0f, .seed = seed, .step = step, .site = site}; }
};

inline constexpr DropoutKey kNoDropout{.seed = 0, .step = 0, .on = false};

}  // namespace aid::nn
