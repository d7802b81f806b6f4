#include "train/spacy/training/random.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace aid::train {
namespace {

// The state that init_by_array() of the authors' mt19937ar.c makes of one word.
struct SeededByArray {
  using result_type = uint32_t;
  uint32_t seed;

  template <class Iterator>
  void generate(Iterator begin, Iterator end) const {
    constexpr size_t kWords = std::mt19937::state_size;
    std::array<uint32_t, kWords> state;
    state[0] = 19650218u;
    const auto before = [&](size_t i) { return state[i - 1] ^ (state[i - 1] >> 30); };
    for (size_t i = 1; i < kWords; ++i) state[i] = 1812433253u * before(i) + static_cast<uint32_t>(i);
    size_t i = 1;
    const auto advance = [&] {
      if (++i < kWords) return;
      state[0] = state[kWords - 1];
      i = 1;
    };
    for (size_t k = kWords; k > 0; --k) {
      state[i] = (state[i] ^ before(i) * 1664525u) + seed;
      advance();
    }
    for (size_t k = kWords - 1; k > 0; --k) {
      state[i] = (state[i] ^ before(i) * 1566083941u) - static_cast<uint32_t>(i);
      advance();
    }
    state[0] = 0x80000000u;
    std::copy_n(state.begin(), end - begin, begin);
  }
};

std::mt19937 seeded_by_array(uint32_t seed) {
  SeededByArray sequence{seed};
  return std::mt19937(sequence);
}

}  // namespace

PythonRandom::PythonRandom(uint32_t seed) : generator_(seeded_by_array(seed)) {}

uint32_t PythonRandom::below(uint32_t n) {
  const int bits = std::bit_width(n);
  for (;;) {
    const auto value = static_cast<uint32_t>(generator_() >> (32 - bits));
    if (value < n) return value;
  }
}

double NumpyRandom::unit() {
  const auto upper = static_cast<double>(generator_() >> 5), lower = static_cast<double>(generator_() >> 6);
  return (upper * 0x1p26 + lower) * 0x1p-53;
}

double NumpyRandom::normal() {
  if (std::exchange(has_next_, false)) return next_;
  double a, b, square;
  do {
    a = 2 * unit() - 1;
    b = 2 * unit() - 1;
    square = a * a + b * b;
  } while (square >= 1 || square == 0);
  const double factor = std::sqrt(-2 * std::log(square) / square);
  next_ = factor * a;
  has_next_ = true;
  return factor * b;
}

}  // namespace aid::train
