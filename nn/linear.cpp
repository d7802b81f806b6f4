#include "nn/linear.h"

#include "kernels/elements/cast.h"

namespace aid::nn {
namespace {

// The gradients of adjacent parameters as one matrix.
Span adjacent_gradients(const std::vector<const Parameter*>& parameters) {
  Span whole = parameters.front()->gradient;
  const auto parts = static_cast<int64_t>(parameters.size());
  if (whole.rows == 1) {
    whole.cols = whole.stride = parts * whole.cols;
  } else {
    whole.rows *= parts;
  }
  return whole;
}

}  // namespace

Linear::Linear(ParameterStore& store, const Options& options)
    : packed_(options.out * static_cast<int64_t>(options.names.size()), options.in, options.compute,
              store.mode() == Mode::training ? LinearWeights::Use::training : LinearWeights::Use::inference) {
  using Place = ParameterStore::Place;
  for (const std::string& name : options.names) {
    weight_.push_back(
        &store.add(name + ".weight", {options.out, options.in}, weight_.empty() ? Place::aligned : Place::adjacent));
  }
  for (const std::string& name : options.names) {
    bias_.push_back(&store.add(name + ".bias", {options.out}, bias_.empty() ? Place::aligned : Place::adjacent));
  }
}

void Linear::update_weights(Stream& s) {
  std::vector<CSpan> stacked;
  for (const Parameter* weight : weight_) stacked.push_back(weight->value);
  packed_.update(s, stacked);

  const int64_t out = bias_.front()->value.cols;
  if (bias_.size() == 1) {
    packed_bias_ = bias_.front()->value;
    return;
  }
  if (bias_copy_.empty()) bias_copy_ = Tensor(DType::f32, 1, packed_.out(), s.device());
  for (size_t i = 0; i < bias_.size(); ++i) {
    const auto begin = static_cast<int64_t>(i) * out;
    cast(s, {.y = bias_copy_.span().col_slice(begin, begin + out), .x = bias_[i]->value});
  }
  packed_bias_ = bias_copy_;
}

void Linear::forward(Stream& s, Span y, CSpan x, Activation activation) const {
  linear_forward(s, {.y = y, .x = x, .weights = packed_, .bias = packed_bias_, .activation = activation});
}

void Linear::backward_input(Stream& s, Span dx, CSpan dy) const {
  linear_backward_input(s, {.dx = dx, .dy = dy, .weights = packed_});
}

void Linear::backward_weight(Stream& s, CSpan dy, CSpan x) const {
  linear_backward_weight(s, {.dw = adjacent_gradients(weight_), .dbias = adjacent_gradients(bias_), .dy = dy, .x = x});
}

}  // namespace aid::nn
