#include "nn/parameter_store.h"

#include <utility>

namespace aid::nn {
namespace {

constexpr int64_t kAlignment = 16;  // floats

int64_t rows_of(const Parameter& parameter) { return parameter.shape.size() == 2 ? parameter.shape[0] : 1; }
int64_t cols_of(const Parameter& parameter) { return parameter.shape.back(); }

}  // namespace

ParameterStore::ParameterStore(Mode mode, int64_t capacity, Device device) : mode_(mode), device_(device) {
  parameters_.reserve(static_cast<size_t>(capacity));
}

Parameter& ParameterStore::add(std::string name, std::vector<int64_t> shape, Place place) {
  AID_CHECK(parameters_.size() < parameters_.capacity(), "no room for parameter ", name);
  if (place == Place::aligned) size_ = (size_ + kAlignment - 1) / kAlignment * kAlignment;
  Parameter& parameter = parameters_.emplace_back();
  parameter.name = std::move(name);
  parameter.shape = std::move(shape);
  parameter.decay = parameter.shape.size() == 2;
  offsets_.push_back(size_);
  size_ += rows_of(parameter) * cols_of(parameter);
  return parameter;
}

void ParameterStore::allocate() {
  if (!owns_values()) return;
  values_ = Tensor(DType::f32, 1, size_, device_);
  if (mode_ == Mode::training) gradients_ = Tensor::zeros(DType::f32, 1, size_, device_);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = parameters_[i];
    const auto part_of = [&](const Tensor& block) {
      Span part = block.span().col_slice(offsets_[i], offsets_[i] + rows_of(parameter) * cols_of(parameter));
      part.rows = rows_of(parameter);
      part.cols = part.stride = cols_of(parameter);
      return part;
    };
    parameter.value = part_of(values_);
    if (mode_ != Mode::training) continue;
    parameter.trained_value = part_of(values_);
    parameter.gradient = part_of(gradients_);
  }
}

void ParameterStore::set_value(Parameter& parameter, CSpan value) const {
  const int64_t rows = rows_of(parameter), cols = cols_of(parameter);
  AID_CHECK(value.dtype == DType::f32 && value.contiguous() && value.size() == rows * cols, "parameter ",
            parameter.name, " takes ", rows, " x ", cols, " f32 in one piece, not ", value.rows, " x ", value.cols, " ",
            name_of(value.dtype));
  if (!owns_values()) {
    parameter.value = matrix(value.host_as<float>(), rows, cols);
    return;
  }
  const auto index = static_cast<size_t>(&parameter - parameters_.data());
  copy(values_.span().col_slice(offsets_[index], offsets_[index] + rows * cols), value);
}

}  // namespace aid::nn
