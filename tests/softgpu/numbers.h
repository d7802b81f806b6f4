#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

// Narrow floating types as the machine computes with them: widened to double, rounded once.
namespace softgpu {

struct BFloat16 {
  uint16_t bits;
};
struct Half {
  uint16_t bits;
};

inline float to_float(BFloat16 x) { return std::bit_cast<float>(uint32_t(x.bits) << 16); }
inline float to_float(Half x) { return float(std::bit_cast<_Float16>(x.bits)); }

// NaN is 0x7fff in both types, as NVIDIA's hardware gives it.
inline Half round_half(double x) {
  if (std::isnan(x)) return {0x7fff};
  return {std::bit_cast<uint16_t>(static_cast<_Float16>(x))};
}
inline BFloat16 round_bfloat(double x) {
  if (std::isnan(x)) return {0x7fff};
  const float f = float(x);
  uint32_t bits = std::bit_cast<uint32_t>(f);
  if (double(f) != x && !std::isinf(f)) {  // round to odd first, then the second rounding is exact
    if (std::fabs(double(f)) > std::fabs(x)) bits -= 1;
    bits |= 1;
  }
  return {uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
template <class T>
T round_to(double x) {
  if constexpr (std::is_same_v<T, BFloat16>)
    return round_bfloat(x);
  else
    return round_half(x);
}

inline float flush(float x) { return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.f, x) : x; }
inline double flush(double x) { return x; }

// minNum and maxNum of IEEE 754: a NaN loses, -0 < +0.
template <class T>
T min_num(T a, T b) {
  return std::isnan(a) ? b : std::isnan(b) ? a : a < b || (a == b && std::signbit(a)) ? a : b;
}
template <class T>
T max_num(T a, T b) {
  return std::isnan(a) ? b : std::isnan(b) ? a : a > b || (a == b && !std::signbit(a)) ? a : b;
}

}  // namespace softgpu
