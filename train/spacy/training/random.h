// The numbers that Python's `random` and NumPy's legacy generator give after a seed, so that a run begins with the
// weights and goes through the documents in the order that spaCy's would: both are MT19937 (Matsumoto & Nishimura 1998,
// ACM TOMACS 8:3), seeded in two ways.
// Sources: CPython's Modules/_randommodule.c and Lib/random.py; NumPy's numpy/random/src/legacy/legacy-distributions.c.
#pragma once

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace aid::train {

// random.seed(seed), random.shuffle(list)
class PythonRandom {
 public:
  explicit PythonRandom(uint32_t seed);

  template <class T>
  void shuffle(std::vector<T>& list) {
    for (size_t i = list.size(); i-- > 1;) std::swap(list[i], list[below(static_cast<uint32_t>(i) + 1)]);
  }

 private:
  uint32_t below(uint32_t n);

  std::mt19937 generator_;
};

// numpy.random.seed(seed), numpy.random.uniform(low, high), numpy.random.normal()
class NumpyRandom {
 public:
  explicit NumpyRandom(uint32_t seed) : generator_(seed) {}

  double uniform(double low, double high) { return low + (high - low) * unit(); }
  double normal();

 private:
  double unit();  // [0, 1), 53 bits

  std::mt19937 generator_;
  bool has_next_ = false;
  double next_ = 0;  // normal numbers come in pairs
};

}  // namespace aid::train
