// Dropout, element by element, from the scalar generator.
#pragma once

#include <vector>

#include "kernels/core/philox.h"

namespace aid::reference {

template <class Real>
Real dropped(Real value, const Dropout& dropout, int32_t row_id, int64_t column) {
  if (!dropout.on()) return value;
  const bool keep = philox::keep(dropout, static_cast<uint32_t>(row_id), static_cast<uint32_t>(column));
  return keep ? value * static_cast<Real>(dropout.scale()) : Real{0};
}

template <class Real>
std::vector<Real> dropout(std::vector<Real> x, int64_t cols, const Dropout& dropout, const std::vector<int32_t>& ids) {
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i) / cols;
    x[i] = dropped(x[i], dropout, dropout.on() ? ids[static_cast<size_t>(row)] : 0, static_cast<int64_t>(i) % cols);
  }
  return x;
}

}  // namespace aid::reference
