#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/weights/safetensors.h"
#include "io/weights/tensor.h"
#include "io/weights/torch_pickle.h"

namespace aid::io {

// A model's tensors, from whichever form they are kept in.
class Weights {
 public:
  // A file: *.safetensors, *.index.json (shards), anything else as torch.save's. A folder: the first there of
  // model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json. Throws Error.
  static Weights open(const std::filesystem::path& file_or_folder);

  std::span<const TensorView> tensors() const { return tensors_; }  // sorted by name
  const TensorView* find(std::string_view name) const { return find_tensor(tensors_, name); }
  std::span<const std::filesystem::path> files() const { return files_; }  // what was read

 private:
  void add_file(const std::filesystem::path& path);
  void add_shards(const std::filesystem::path& index);

  std::vector<std::filesystem::path> files_;
  std::vector<SafeTensors> safetensors_;
  std::vector<TorchCheckpoint> checkpoints_;
  std::vector<TensorView> tensors_;
};

// out[i] = the tensor's i-th value as f32: exact from f16 and bf16, rounded to nearest from f64. Throws Error for
// integers and where out.size() is not the number of elements.
void convert_to_f32(const TensorView& tensor, std::span<float> out);

}  // namespace aid::io
