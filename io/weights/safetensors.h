#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/file.h"
#include "io/weights/tensor.h"

namespace aid::io {

// One .safetensors file, mapped: opening reads the header only. The format (huggingface/safetensors, README): 8 bytes
// of little-endian header length, the header as a JSON object {name: {"dtype", "shape", "data_offsets": [begin, end]}},
// and the tensors' bytes without holes in the order of their offsets.
class SafeTensors {
 public:
  // Refuses whatever contradicts the format, each case with its own message: cut or overlong files, headers over 100
  // MB, bad JSON, the same name twice, offsets that overlap, leave a hole or run past the end, and sizes that
  // contradict dtype and shape. Throws Error.
  static SafeTensors open(const std::filesystem::path& path);

  std::span<const TensorView> tensors() const { return tensors_; }  // sorted by name
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  explicit SafeTensors(MappedFile file) : file_(std::move(file)) {}

  MappedFile file_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes what the safetensors library 0.8 would: tensors by falling alignment of their type, then by name; header
// padded with spaces to 8 bytes. transformers wants the metadata {"format": "pt"}. The file appears whole or not at
// all. Throws Error.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace aid::io
