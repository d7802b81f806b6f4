// The sum of embeddings, and its gradient: one addition per token, in the order of the tokens.
#pragma once

#include <vector>

namespace aid::reference {

template <class Real>
void add_embedding(std::vector<Real>& z, const std::vector<Real>& table, const std::vector<int32_t>& ids) {
  const size_t cols = z.size() / ids.size();
  for (size_t i = 0; i < z.size(); ++i) z[i] += table[static_cast<size_t>(ids[i / cols]) * cols + i % cols];
}

// dtable += ; tokens of `padding` add nothing.
template <class Real>
std::vector<Real> embedding_backward(std::vector<Real> dtable, const std::vector<Real>& dz,
                                     const std::vector<int32_t>& ids, int32_t padding) {
  const size_t cols = dz.size() / ids.size();
  for (size_t i = 0; i < dz.size(); ++i) {
    if (ids[i / cols] != padding) dtable[static_cast<size_t>(ids[i / cols]) * cols + i % cols] += dz[i];
  }
  return dtable;
}

}  // namespace aid::reference
