// Element types. bf16 and f16 are storage types: arithmetic happens in f32.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace aid {

enum class DType : uint8_t { f32, bf16, f16, i8, i32, i64 };

constexpr size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::i8:
      return 1;
    case DType::bf16:
    case DType::f16:
      return 2;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::i64:
      return 8;
  }
  return 0;
}

const char* name_of(DType dtype);

// bfloat16: the upper half of an IEEE f32. Rounds to nearest even; NaN stays a (quiet) NaN.
struct bf16 {
  uint16_t bits = 0;

  bf16() = default;
  constexpr explicit bf16(float value) {
    const uint32_t u = std::bit_cast<uint32_t>(value);
    const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits =
        nan ? static_cast<uint16_t>((u >> 16) | 0x40u) : static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  constexpr explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};
static_assert(sizeof(bf16) == 2);

// IEEE binary16, as it is stored; kernels convert it (F16C). On the CPU it is only cast from and to.
struct f16 {
  uint16_t bits = 0;
};
static_assert(sizeof(f16) == 2);

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::f32;
}
template <>
constexpr DType dtype_of<bf16>() {
  return DType::bf16;
}
template <>
constexpr DType dtype_of<f16>() {
  return DType::f16;
}
template <>
constexpr DType dtype_of<int8_t>() {
  return DType::i8;
}
template <>
constexpr DType dtype_of<int32_t>() {
  return DType::i32;
}
template <>
constexpr DType dtype_of<int64_t>() {
  return DType::i64;
}

}  // namespace aid
