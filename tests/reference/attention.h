// Packed attention as kernels/matrix/attention.h states it, with every S x S matrix in memory.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include "kernels/core/philox.h"

namespace aid::test::reference {

template <class T>
struct Attention {
  std::vector<T> q, k, v, dout;  // [tokens, heads * head_dim]; dout only for backward
  std::vector<int64_t> cu_q, cu_k;
  int64_t heads, head_dim;
  T scale;
  Dropout dropout;
  std::vector<int64_t> row_ids;
  // What a matrix product sees of P and dS: the same, or rounded to bf16.
  std::function<T(T)> operand = [](T x) { return x; };

  std::vector<T> out, lse, dq, dk, dv;

  void forward() {
    out.assign(q.size(), 0);
    lse.assign(static_cast<size_t>(cu_q.back() * heads), 0);
    for_queries([&](int64_t i, int64_t head, int64_t begin, int64_t end) {
      const std::vector<T> s = scores(i, head, begin, end);
      T largest = s[0], sum = 0;
      for (const T x : s) largest = std::max(largest, x);
      for (const T x : s) sum += std::exp(x - largest);
      lse[static_cast<size_t>(i * heads + head)] = largest + std::log(sum);
      for (int64_t d = 0; d < head_dim; ++d) {
        T o = 0;
        for (int64_t j = begin; j < end; ++j) {
          o += operand(std::exp(s[static_cast<size_t>(j - begin)] - largest) * keep(i, head, j - begin)) *
               v[at(j, head, d)];
        }
        out[at(i, head, d)] = o / sum;
      }
    });
  }

  // From out and lse.
  void backward() {
    dq.assign(q.size(), 0);
    dk.assign(k.size(), 0);
    dv.assign(v.size(), 0);
    for_queries([&](int64_t i, int64_t head, int64_t begin, int64_t end) {
      const std::vector<T> s = scores(i, head, begin, end);
      T dot = 0;
      for (int64_t d = 0; d < head_dim; ++d) dot += dout[at(i, head, d)] * out[at(i, head, d)];
      for (int64_t j = begin; j < end; ++j) {
        const T p = std::exp(s[static_cast<size_t>(j - begin)] - lse[static_cast<size_t>(i * heads + head)]);
        T dp = 0;
        for (int64_t d = 0; d < head_dim; ++d) dp += dout[at(i, head, d)] * v[at(j, head, d)];
        const T ds = operand(p * (dp * keep(i, head, j - begin) - dot));
        const T dropped = operand(p * keep(i, head, j - begin));
        for (int64_t d = 0; d < head_dim; ++d) {
          dv[at(j, head, d)] += dropped * dout[at(i, head, d)];
          dq[at(i, head, d)] += scale * ds * k[at(j, head, d)];
          dk[at(j, head, d)] += scale * ds * q[at(i, head, d)];
        }
      }
    });
  }

 private:
  size_t at(int64_t token, int64_t head, int64_t d) const {
    return static_cast<size_t>((token * heads + head) * head_dim + d);
  }
  T keep(int64_t query, int64_t head, int64_t position) const {
    if (!dropout.on()) return 1;
    Dropout of_head = dropout;
    of_head.site = dropout.site << 8 | static_cast<uint32_t>(head);
    const auto row = static_cast<uint32_t>(row_ids[static_cast<size_t>(query)]);
    return philox::keep(of_head, row, static_cast<uint32_t>(position)) ? dropout.scale() : 0;
  }
  std::vector<T> scores(int64_t i, int64_t head, int64_t begin, int64_t end) const {
    std::vector<T> s;
    for (int64_t j = begin; j < end; ++j) {
      T product = 0;
      for (int64_t d = 0; d < head_dim; ++d) product += q[at(i, head, d)] * k[at(j, head, d)];
      s.push_back(scale * product);
    }
    return s;
  }
  template <class F>
  void for_queries(const F& f) const {
    for (size_t n = 0; n + 1 < cu_q.size(); ++n) {
      for (int64_t i = cu_q[n]; i < cu_q[n + 1]; ++i) {
        for (int64_t head = 0; head < heads; ++head) f(i, head, cu_k[n], cu_k[n + 1]);
      }
    }
  }
};

}  // namespace aid::test::reference
