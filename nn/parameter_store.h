// Owns the parameters of a model, on its device. In training their values lie in one block of memory and their
// gradients in another, in the order in which they were added, each group of adjacent parameters 64-byte aligned. On a
// GPU the values that products read stand in a third block once more, in the products' dtype.
#pragma once

#include <span>

#include "kernels/core/stream.h"
#include "nn/mode.h"
#include "nn/parameter.h"

namespace aid::nn {

class ParameterStore {
 public:
  // capacity: how many parameters may be added; references to them stay valid.
  ParameterStore(Mode mode, int64_t capacity, Device device = Device::cpu);

  // adjacent: its memory follows the previous parameter's without a gap, so that both can be read as one matrix.
  enum class Place : uint8_t { aligned, adjacent };
  // compute: the dtype of the products that read it; f32 where none do.
  Parameter& add(std::string name, std::vector<int64_t> shape, Place place = Place::aligned,
                 DType compute = DType::f32);

  // After the last add(). Gives the parameters their memory, gradients zeroed, values not yet set.
  void allocate();

  // Takes a value of the host's. Inference on the CPU refers to it, all else copies it.
  void set_value(Parameter& parameter, CSpan value) const;
  // Makes the parameters' compute_value of their values.
  void update_compute_values(Stream& s) const;

  Mode mode() const { return mode_; }
  std::span<Parameter> parameters() { return parameters_; }

 private:
  // Whether the values are memory of the store's own.
  bool owns_values() const { return mode_ == Mode::training || device_ == Device::cuda; }

  Mode mode_;
  Device device_;
  std::vector<Parameter> parameters_;
  // Elements from the blocks' begins. Of compute values: less than 0 where there is none.
  std::vector<int64_t> offsets_, compute_offsets_;
  int64_t size_ = 0, compute_size_ = 0;
  DType compute_ = DType::f32;  // of all compute values
  Tensor values_, gradients_, compute_values_;
};

}  // namespace aid::nn
