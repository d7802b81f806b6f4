#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/file.h"
#include "io/weights/tensor.h"

namespace aid::io {

// A state dict saved by torch.save (pytorch_model.bin, .pt, .pth): the zip form of PyTorch 1.6 and later, and the plain
// form before it (torch/serialization.py: _load, _legacy_load). The pickle is read by a machine that knows only the
// opcodes and globals of a state dict (io/weights/pickle.h) and executes nothing.
//
// Takes {name: tensor}, or a dict with exactly one such dict under "state_dict", "model_state_dict" or "model"; values
// that are not tensors (an epoch number) are left out. Views are made contiguous; tensors that share a storage share
// its bytes here too where they are contiguous.
class TorchCheckpoint {
 public:
  static TorchCheckpoint open(const std::filesystem::path& path);  // throws Error

  std::span<const TensorView> tensors() const { return tensors_; }  // sorted by name

 private:
  explicit TorchCheckpoint(MappedFile file) : file_(std::move(file)) {}

  MappedFile file_;
  std::vector<std::unique_ptr<std::byte[]>> owned_;  // storages read from a zip, and copies of strided views
  std::vector<TensorView> tensors_;
};

}  // namespace aid::io
