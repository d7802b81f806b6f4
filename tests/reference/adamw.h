// AdamW for one element, in the order of torch.optim.adamw's single-tensor code.
#pragma once

#include <cmath>

namespace aid::reference {

template <class Real>
struct AdamWElement {
  Real p, m, v;
};

struct AdamWSetting {
  double lr, beta1, beta2, eps, weight_decay, gradient_scale;
  int step;
};

template <class Real>
AdamWElement<Real> adamw(AdamWElement<Real> e, Real g, const AdamWSetting& a) {
  g *= static_cast<Real>(a.gradient_scale);
  e.p *= static_cast<Real>(1 - a.lr * a.weight_decay);
  e.m = static_cast<Real>(a.beta1) * e.m + static_cast<Real>(1 - a.beta1) * g;
  e.v = static_cast<Real>(a.beta2) * e.v + static_cast<Real>(1 - a.beta2) * g * g;
  const double correction1 = 1 - std::pow(a.beta1, a.step), correction2 = 1 - std::pow(a.beta2, a.step);
  const Real denominator = std::sqrt(e.v) / static_cast<Real>(std::sqrt(correction2)) + static_cast<Real>(a.eps);
  e.p -= static_cast<Real>(a.lr / correction1) * e.m / denominator;
  return e;
}

}  // namespace aid::reference
