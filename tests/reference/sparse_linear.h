// A linear layer of sparse features, naive: one addition per item and class. Equations: kernels/matrix/sparse_linear.h.
#pragma once

#include <cstdint>
#include <vector>

namespace aid::reference {

template <class Real>
struct SparseLinear {
  std::vector<Real> w, bias, values, dy;  // dy only for backward
  std::vector<int32_t> index, first;
  int64_t class_stride;

  std::vector<Real> y, dw, dbias;  // gradients are added to

  void forward() {
    y.clear();
    for (size_t d = 0; d + 1 < first.size(); ++d) y.insert(y.end(), bias.begin(), bias.end());
    for_items([&](size_t at_y, size_t item, size_t weight) { y[at_y] += values[item] * w[weight]; });
  }
  void backward() {
    for_items([&](size_t at_y, size_t item, size_t weight) { dw[weight] += values[item] * dy[at_y]; });
    for (size_t i = 0; i < dy.size(); ++i) dbias[i % dbias.size()] += dy[i];
  }

 private:
  // Calls f(at_y, item, weight) for every document, class and item.
  template <class F>
  void for_items(const F& f) const {
    for (size_t d = 0; d + 1 < first.size(); ++d) {
      for (size_t c = 0; c < bias.size(); ++c) {
        for (auto i = static_cast<size_t>(first[d]); i < static_cast<size_t>(first[d + 1]); ++i) {
          f(d * bias.size() + c, i, c * static_cast<size_t>(class_stride) + static_cast<size_t>(index[i]));
        }
      }
    }
  }
};

}  // namespace aid::reference
