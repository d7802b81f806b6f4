#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aid::io {

enum class DType { f32, f16, bf16, f64, i64, i32, i16, i8, u8, bool_ };

std::size_t dtype_size(DType dtype);       // bytes per element
std::string_view dtype_name(DType dtype);  // as safetensors writes it: "F32", "BOOL"...
std::optional<DType> dtype_from_name(std::string_view name);
std::string shape_text(std::span<const std::int64_t> shape);  // "[2, 3]"

// A tensor in a file: row-major, contiguous, little-endian. `data` points into whatever was opened and lives as long;
// it may be misaligned for its type (safetensors aligns to 8 bytes at best, the plain torch form to none).
struct TensorView {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
};

// dtype_size(dtype) times the product of the shape; nothing where a size is negative or the product passes 2^63 - 1.
std::optional<std::uint64_t> byte_size(DType dtype, std::span<const std::int64_t> shape);

// The tensor of that name in a list sorted by name, or null.
const TensorView* find_tensor(std::span<const TensorView> sorted, std::string_view name);

}  // namespace aid::io
