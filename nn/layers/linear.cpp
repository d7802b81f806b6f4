#include "nn/layers/linear.h"

#include "kernels/elements/cast.h"

namespace aid::nn {
namespace {

// Adjacent parameters' values or gradients as one matrix, of which the first is given.
template <class AnySpan>
AnySpan joined(AnySpan whole, size_t count) {
  const auto parts = static_cast<int64_t>(count);
  if (whole.rows == 1) {
    whole.cols = whole.stride = parts * whole.cols;
  } else {
    whole.rows *= parts;
  }
  return whole;
}

// What products read.
CSpan computed(const Parameter& parameter) {
  return parameter.compute_value.empty() ? parameter.value : parameter.compute_value;
}

bool adjacent(const CSpan& first, const CSpan& second) {
  return static_cast<const std::byte*>(first.data) + first.bytes() == second.data;
}

}  // namespace

Linear::Linear(ParameterStore& store, const Options& options)
    : packed_(options.out * static_cast<int64_t>(options.names.size()), options.in, options.compute,
              store.mode() == Mode::training ? LinearWeights::Use::training : LinearWeights::Use::inference) {
  using Place = ParameterStore::Place;
  for (const std::string& name : options.names) {
    weight_.push_back(&store.add(name + ".weight", {options.out, options.in},
                                 weight_.empty() ? Place::aligned : Place::adjacent, options.compute));
  }
  for (const std::string& name : options.names) {
    if (!options.bias) break;
    bias_.push_back(
        &store.add(name + ".bias", {options.out}, bias_.empty() ? Place::aligned : Place::adjacent, options.compute));
  }
}

void Linear::update_weights(Stream& s) {
  std::vector<CSpan> stacked;
  for (const Parameter* weight : weight_) stacked.push_back(computed(*weight));
  packed_.update(s, stacked);
  if (bias_.empty()) return;

  const CSpan first = computed(*bias_.front());
  const int64_t out = first.cols;
  bool in_one_piece = true;
  for (size_t i = 1; i < bias_.size(); ++i) {
    in_one_piece = in_one_piece && adjacent(computed(*bias_[i - 1]), computed(*bias_[i]));
  }
  if (in_one_piece) {
    packed_bias_ = joined(first, bias_.size());
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
  linear_backward_weight(s, {.dw = joined(weight_.front()->gradient, weight_.size()),
                             .dbias = bias_.empty() ? Span{} : joined(bias_.front()->gradient, bias_.size()),
                             .dy = dy,
                             .x = x});
}

}  // namespace aid::nn
