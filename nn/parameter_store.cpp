#include "nn/parameter_store.h"

#include <utility>

#include "kernels/elements/cast.h"

namespace aid::nn {
namespace {

constexpr int64_t kAlignment = 16;          // floats
constexpr int64_t kComputeAlignment = 128;  // 256 bytes of 16-bit elements, which matrix libraries have their best for

int64_t rows_of(const Parameter& parameter) { return parameter.shape.size() == 2 ? parameter.shape[0] : 1; }
int64_t cols_of(const Parameter& parameter) { return parameter.shape.back(); }

int64_t aligned(int64_t offset, int64_t alignment) { return (offset + alignment - 1) / alignment * alignment; }

// A parameter's part of a block, as a matrix.
Span part_of(const Tensor& block, int64_t offset, const Parameter& parameter) {
  Span part = block.span().col_slice(offset, offset + rows_of(parameter) * cols_of(parameter));
  part.rows = rows_of(parameter);
  part.cols = part.stride = cols_of(parameter);
  return part;
}

}  // namespace

ParameterStore::ParameterStore(Mode mode, int64_t capacity, Device device) : mode_(mode), device_(device) {
  parameters_.reserve(static_cast<size_t>(capacity));
}

Parameter& ParameterStore::add(std::string name, std::vector<int64_t> shape, Place place, DType compute) {
  AID_CHECK(parameters_.size() < parameters_.capacity(), "no room for parameter ", name);
  const bool copied = device_ == Device::cuda && compute != DType::f32;
  if (place == Place::aligned) {
    size_ = aligned(size_, kAlignment);
    compute_size_ = aligned(compute_size_, kComputeAlignment);
  }
  Parameter& parameter = parameters_.emplace_back();
  parameter.name = std::move(name);
  parameter.shape = std::move(shape);
  parameter.decay = parameter.shape.size() == 2;
  const int64_t elements = rows_of(parameter) * cols_of(parameter);
  offsets_.push_back(size_);
  size_ += elements;
  compute_offsets_.push_back(copied ? compute_size_ : -1);
  if (!copied) return parameter;
  AID_CHECK(compute_ == DType::f32 || compute_ == compute, "parameter ", parameter.name, " is computed with in ",
            name_of(compute), ", another in ", name_of(compute_));
  compute_ = compute;
  compute_size_ += elements;
  return parameter;
}

void ParameterStore::allocate() {
  if (!owns_values()) return;
  values_ = Tensor(DType::f32, 1, size_, device_);
  if (mode_ == Mode::training) gradients_ = Tensor::zeros(DType::f32, 1, size_, device_);
  if (compute_size_ > 0) compute_values_ = Tensor(compute_, 1, compute_size_, device_);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = parameters_[i];
    parameter.value = part_of(values_, offsets_[i], parameter);
    if (compute_offsets_[i] >= 0) parameter.compute_value = part_of(compute_values_, compute_offsets_[i], parameter);
    if (mode_ != Mode::training) continue;
    parameter.trained_value = part_of(values_, offsets_[i], parameter);
    parameter.gradient = part_of(gradients_, offsets_[i], parameter);
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

void ParameterStore::update_compute_values(Stream& s) const {
  for (const Parameter& parameter : parameters_) {
    if (!parameter.compute_value.empty()) cast(s, {.y = parameter.compute_value, .x = parameter.value});
  }
}

}  // namespace aid::nn
