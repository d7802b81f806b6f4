#include "nn/parameter_store.h"

#include <cstring>
#include <utility>

namespace aid::nn {
namespace {

constexpr int64_t kAlignment = 16;  // floats

int64_t rows_of(const Parameter& parameter) { return parameter.shape.size() == 2 ? parameter.shape[0] : 1; }
int64_t cols_of(const Parameter& parameter) { return parameter.shape.back(); }

}  // namespace

ParameterStore::ParameterStore(Mode mode, int64_t capacity) : mode_(mode) {
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
  if (mode_ != Mode::training) return;
  const size_t bytes = static_cast<size_t>(size_) * sizeof(float);
  values_ = Buffer(bytes);
  gradients_ = Buffer::zeroed(bytes);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = parameters_[i];
    const int64_t rows = rows_of(parameter), cols = cols_of(parameter);
    parameter.trained_value = matrix(static_cast<float*>(values_.data()) + offsets_[i], rows, cols);
    parameter.gradient = matrix(static_cast<float*>(gradients_.data()) + offsets_[i], rows, cols);
    parameter.value = parameter.trained_value;
  }
}

void ParameterStore::set_value(Parameter& parameter, CSpan value) const {
  const int64_t rows = rows_of(parameter), cols = cols_of(parameter);
  AID_CHECK(value.dtype == DType::f32 && value.contiguous() && value.size() == rows * cols, "parameter ",
            parameter.name, " takes ", rows, " x ", cols, " f32 in one piece, not ", value.rows, " x ", value.cols, " ",
            name_of(value.dtype));
  if (mode_ == Mode::inference) {
    parameter.value = matrix(static_cast<const float*>(value.data), rows, cols);
  } else {
    std::memcpy(parameter.trained_value.data, value.data, static_cast<size_t>(value.bytes()));
  }
}

}  // namespace aid::nn
