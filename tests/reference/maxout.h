// Maxout, naive; layer normalisation beside it is residual_layer_norm.h's. Equations: kernels/rows/maxout_layer_norm.h.
#pragma once

#include <cstdint>
#include <vector>

namespace aid::reference {

template <class Real>
struct Maxout {
  std::vector<Real> m;
  std::vector<size_t> which;  // the element of z that each is
};

template <class Real>
Maxout<Real> maxout(const std::vector<Real>& z, int64_t pieces) {
  Maxout<Real> out;
  const auto step = static_cast<size_t>(pieces);
  for (size_t begin = 0; begin < z.size(); begin += step) {
    size_t largest = begin;
    for (size_t i = begin; i < begin + step; ++i) {
      if (z[i] > z[largest]) largest = i;
    }
    out.m.push_back(z[largest]);
    out.which.push_back(largest);
  }
  return out;
}

template <class Real>
std::vector<Real> maxout_backward(const std::vector<Real>& dm, const std::vector<size_t>& which, int64_t pieces) {
  std::vector<Real> dz(dm.size() * static_cast<size_t>(pieces), 0);
  for (size_t i = 0; i < dm.size(); ++i) dz[which[i]] = dm[i];
  return dz;
}

}  // namespace aid::reference
