#include "io/weights/weights.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "io/error.h"
#include "io/json_file.h"

namespace aid::io {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNames[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                  "pytorch_model.bin.index.json"};

fs::path file_in(const fs::path& folder) {
  std::string looked_for;
  std::error_code ignored;
  for (const char* name : kNames) {
    if (fs::exists(folder / name, ignored)) return folder / name;
    looked_for += (looked_for.empty() ? "" : ", ") + std::string(name);
  }
  throw Error("no weights in '" + folder.string() + "': looked for " + looked_for);
}

// What `git clone` leaves in a large file's place where git-lfs is not installed.
void refuse_git_lfs_pointer(const fs::path& path) {
  constexpr std::string_view kPointer = "version https://git-lfs";
  const MappedFile file(path);
  if (file.bytes().size() >= kPointer.size() &&
      std::memcmp(file.bytes().data(), kPointer.data(), kPointer.size()) == 0) {
    throw Error(path.string() +
                ": is a Git LFS pointer, not the weights themselves: run `git lfs pull` where it was cloned");
  }
}

// IEEE 754 half to single without tables: the exponent's bias moves from 15 to 127; subnormals are renormalised by a
// subtraction, infinities and NaNs keep a full exponent.
float half_to_float(std::uint16_t half) {
  constexpr std::uint32_t kExponent = 0x7c00U << 13;
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t magnitude = (half & 0x7fffU) << 13;
  const std::uint32_t exponent = magnitude & kExponent;
  const std::uint32_t normal = magnitude + ((127U - 15U) << 23);
  const std::uint32_t special = normal + ((128U - 16U) << 23);
  const auto subnormal = std::bit_cast<std::uint32_t>(std::bit_cast<float>(normal + (1U << 23)) - 0x1p-14F);
  return std::bit_cast<float>((exponent == kExponent ? special : exponent == 0 ? subnormal : normal) | sign);
}

template <class Stored, class Convert>
void convert(std::span<const std::byte> data, std::span<float> out, Convert convert_one) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, data.data() + i * sizeof stored, sizeof stored);
    out[i] = convert_one(stored);
  }
}

}  // namespace

Weights Weights::open(const fs::path& file_or_folder) {
  std::error_code ignored;  // a path that cannot be looked at fails when it is opened, with its reason
  const fs::path path = fs::is_directory(file_or_folder, ignored) ? file_in(file_or_folder) : file_or_folder;
  Weights weights;
  if (path.string().ends_with(".index.json")) {
    weights.add_shards(path);
  } else {
    weights.add_file(path);
  }
  std::sort(weights.tensors_.begin(), weights.tensors_.end(),
            [](const TensorView& a, const TensorView& b) { return a.name < b.name; });
  return weights;
}

void Weights::add_file(const fs::path& path) {
  refuse_git_lfs_pointer(path);
  std::span<const TensorView> tensors;
  if (path.extension() == ".safetensors") {
    tensors = safetensors_.emplace_back(SafeTensors::open(path)).tensors();
  } else {
    tensors = checkpoints_.emplace_back(TorchCheckpoint::open(path)).tensors();
  }
  files_.push_back(path);
  tensors_.insert(tensors_.end(), tensors.begin(), tensors.end());
}

// {"metadata": ..., "weight_map": {tensor: file}}, transformers' index of a model in several files.
void Weights::add_shards(const fs::path& index) {
  const std::string where = index.string();
  const nlohmann::json json = parse_json_file(index);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (map == json.end() || !map->is_object() || map->empty()) {
    throw Error(where + ": no \"weight_map\"; expected {\"weight_map\": {tensor: file}}");
  }
  std::map<std::string, std::string> shard_of;
  std::set<std::string> shards;
  for (const auto& [name, shard] : map->items()) {
    const std::string file = shard.is_string() ? shard.get<std::string>() : "";
    if (file.empty() || file == ".." || file.find('/') != std::string::npos) {
      throw Error(where + ": tensor '" + name + "' is said to be in " + shard.dump() +
                  "; expected the name of a file beside the index");
    }
    shard_of[name] = file;
    shards.insert(file);
  }
  for (const std::string& shard : shards) {
    const std::size_t first = tensors_.size();
    add_file(index.parent_path() / shard);
    for (std::size_t i = first; i < tensors_.size(); ++i) {
      const auto listed = shard_of.find(tensors_[i].name);
      if (listed == shard_of.end() || listed->second != shard) {
        throw Error(where + ": tensor '" + tensors_[i].name + "' is in " + shard + "; the index says " +
                    (listed == shard_of.end() ? "nothing of it" : listed->second));
      }
      shard_of.erase(listed);
    }
  }
  if (!shard_of.empty()) {
    std::string missing;
    for (const auto& [name, shard] : shard_of)
      missing.append("\n  ").append(name).append(" (").append(shard).append(")");
    throw Error(where + ": " + std::to_string(shard_of.size()) +
                " tensors are not in the files that the index names:" + missing);
  }
}

void convert_to_f32(const TensorView& tensor, std::span<float> out) {
  if (out.size_bytes() / sizeof(float) * dtype_size(tensor.dtype) != tensor.data.size()) {
    throw Error("tensor '" + tensor.name + "' of shape " + shape_text(tensor.shape) + " does not have the " +
                std::to_string(out.size()) + " elements asked for");
  }
  switch (tensor.dtype) {
    case DType::f32:
      if (!out.empty()) std::memcpy(out.data(), tensor.data.data(), out.size_bytes());
      return;
    case DType::f16:
      convert<std::uint16_t>(tensor.data, out, half_to_float);
      return;
    case DType::bf16:
      convert<std::uint16_t>(tensor.data, out, [](std::uint16_t bits) {
        return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
      });
      return;
    case DType::f64:
      convert<double>(tensor.data, out, [](double value) { return static_cast<float>(value); });
      return;
    default:
      throw Error("tensor '" + tensor.name + "' holds " + std::string(dtype_name(tensor.dtype)) +
                  "; expected F32, F16, BF16 or F64");
  }
}

}  // namespace aid::io
