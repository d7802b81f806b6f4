#include "nn/initialise.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>

#include "kernels/core/philox.h"

namespace aid::nn {
namespace {

// FNV-1a, 64 bits (Fowler, Noll, Vo).
uint64_t hash_of(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

// Two independent normal numbers from 64 random bits (Box & Muller 1958). The first uniform number is in (0, 1], so
// that its logarithm is finite.
void box_muller(uint32_t a, uint32_t b, float* out) {
  const double radius = std::sqrt(-2.0 * std::log((a + 1.0) / 4294967296.0));
  const double angle = 2.0 * std::numbers::pi * (b / 4294967296.0);
  out[0] = static_cast<float>(radius * std::cos(angle));
  out[1] = static_cast<float>(radius * std::sin(angle));
}

void fill_normal(float* values, int64_t size, float deviation, uint64_t key) {
  for (int64_t i = 0; i < size; i += 4) {
    const auto words = philox::block({static_cast<uint32_t>(i / 4), static_cast<uint32_t>(i / 4 >> 32), 0, 0}, key);
    float drawn[4];
    box_muller(words[0], words[1], drawn);
    box_muller(words[2], words[3], drawn + 2);
    for (int64_t k = 0; k < std::min<int64_t>(4, size - i); ++k) values[i + k] = deviation * drawn[k];
  }
}

// transformers' create_sinusoidal_embeddings, after Vaswani et al. 2017, section 3.5.
void fill_sinusoidal(float* values, int64_t positions, int64_t cols) {
  for (int64_t position = 0; position < positions; ++position) {
    for (int64_t col = 0; col < cols; ++col) {
      const int64_t pair = col / 2;
      const double exponent = 2.0 * static_cast<double>(pair) / static_cast<double>(cols);
      const double angle = static_cast<double>(position) / std::pow(10000.0, exponent);
      values[position * cols + col] = static_cast<float>(col % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
}

}  // namespace

std::vector<float> initial_values(const Parameter& parameter, const BertConfig& config, uint64_t seed) {
  const int64_t cols = parameter.shape.back();
  if (parameter.shape.size() == 1) {  // LayerNorm, or a bias
    return std::vector<float>(static_cast<size_t>(cols), parameter.name.ends_with(".weight") ? 1.0f : 0.0f);
  }
  const int64_t rows = parameter.shape.front();
  std::vector<float> values(static_cast<size_t>(rows * cols));
  if (!parameter.trainable) {
    fill_sinusoidal(values.data(), rows, cols);
  } else {
    fill_normal(values.data(), rows * cols, config.initializer_range, seed ^ hash_of(parameter.name));
    if (config.padding_idx >= 0 && parameter.name.ends_with("word_embeddings.weight")) {
      std::fill_n(values.data() + config.padding_idx * cols, cols, 0.0f);
    }
  }
  return values;
}

}  // namespace aid::nn
