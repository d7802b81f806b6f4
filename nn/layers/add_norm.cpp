#include "nn/layers/add_norm.h"

#include "kernels/rows/residual_layer_norm.h"

namespace aid::nn {

AddNorm::AddNorm(ParameterStore& store, const std::string& name, int64_t cols, float eps)
    : weight_(store.add(name + ".weight", {cols})), bias_(store.add(name + ".bias", {cols})), eps_(eps) {}

void AddNorm::forward(Stream& s, const Forward& a) const {
  Saved saved;
  if (a.saved != nullptr) {
    saved = {.z = a.delta, .mean = s.arena().take(DType::f32, a.x.rows), .rstd = s.arena().take(DType::f32, a.x.rows)};
    *a.saved = saved;
  }
  residual_layer_norm_forward(s, {.y = a.y,
                                  .z = saved.z,
                                  .mean = saved.mean,
                                  .rstd = saved.rstd,
                                  .x = a.x,
                                  .delta = a.delta,
                                  .gamma = weight_.value,
                                  .beta = bias_.value,
                                  .eps = eps_,
                                  .dropout = a.dropout,
                                  .row_ids = a.row_ids});
}

Span AddNorm::backward(Stream& s, const Backward& a) const {
  const Span dx = a.dy.product;
  const Span ddelta = a.dropout.on() ? s.arena().take(dx.dtype, dx.rows, dx.cols) : Span{};
  residual_layer_norm_backward(s, {.dx = dx,
                                   .ddelta = ddelta,
                                   .dgamma = weight_.gradient,
                                   .dbeta = bias_.gradient,
                                   .dy = a.dy.product,
                                   .dy2 = a.dy.residual,
                                   .z = a.saved.z,
                                   .mean = a.saved.mean,
                                   .rstd = a.saved.rstd,
                                   .gamma = weight_.value,
                                   .dropout = a.dropout,
                                   .row_ids = a.row_ids});
  return ddelta.empty() ? dx : ddelta;
}

}  // namespace aid::nn
