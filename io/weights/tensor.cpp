#include "io/weights/tensor.h"

#include <algorithm>
#include <array>

namespace aid::io {
namespace {

struct DTypeTraits {
  std::string_view name;
  std::size_t size;
};

constexpr std::array<DTypeTraits, 10> kTraits = {{{"F32", 4},
                                                  {"F16", 2},
                                                  {"BF16", 2},
                                                  {"F64", 8},
                                                  {"I64", 8},
                                                  {"I32", 4},
                                                  {"I16", 2},
                                                  {"I8", 1},
                                                  {"U8", 1},
                                                  {"BOOL", 1}}};

}  // namespace

std::size_t dtype_size(DType dtype) { return kTraits[static_cast<std::size_t>(dtype)].size; }

std::string_view dtype_name(DType dtype) { return kTraits[static_cast<std::size_t>(dtype)].name; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kTraits.size(); ++i) {
    if (kTraits[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

std::optional<std::uint64_t> byte_size(DType dtype, std::span<const std::int64_t> shape) {
  auto bytes = static_cast<std::int64_t>(dtype_size(dtype));
  for (const std::int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  }
  return static_cast<std::uint64_t>(bytes);
}

const TensorView* find_tensor(std::span<const TensorView> sorted, std::string_view name) {
  const auto found = std::lower_bound(sorted.begin(), sorted.end(), name,
                                      [](const TensorView& tensor, std::string_view key) { return tensor.name < key; });
  return found != sorted.end() && found->name == name ? &*found : nullptr;
}

}  // namespace aid::io
