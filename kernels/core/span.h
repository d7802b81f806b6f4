// Span and CSpan: views of memory that somebody else owns. One or two dimensions are all that the engine needs:
// a vector is one row. Rows may lie further apart than their length (a slice of columns), elements of a row may not.
#pragma once

#include <type_traits>

#include "kernels/core/check.h"
#include "kernels/core/dtype.h"

namespace aid {

enum class Device : uint8_t { cpu, cuda };

// Whether ops take activations of this type there: f32 and bf16, and f16 on a GPU.
constexpr bool computes_in(Device device, DType dtype) {
  return dtype == DType::f32 || dtype == DType::bf16 || (dtype == DType::f16 && device == Device::cuda);
}

namespace detail {

template <class Pointer>  // void* or const void*
struct BasicSpan {
  Pointer data = nullptr;
  DType dtype = DType::f32;
  Device device = Device::cpu;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;  // elements from one row to the next; >= cols

  bool empty() const { return data == nullptr; }
  int64_t size() const { return rows * cols; }
  int64_t bytes() const { return size() * static_cast<int64_t>(size_of(dtype)); }
  bool contiguous() const { return stride == cols || rows <= 1; }

  // The elements as T. Throws when the dtype is another one.
  template <class T>
  auto* as() const {
    AID_CHECK(dtype == dtype_of<T>(), "span holds ", name_of(dtype), ", asked for ", name_of(dtype_of<T>()));
    if constexpr (std::is_const_v<std::remove_pointer_t<Pointer>>) {
      return static_cast<const T*>(data);
    } else {
      return static_cast<T*>(data);
    }
  }

  // Rows [begin, end).
  auto row_slice(int64_t begin, int64_t end) const {
    AID_CHECK(0 <= begin && begin <= end && end <= rows, "rows ", begin, "..", end, " of ", rows);
    auto part = *this;
    part.data = offset(begin * stride);
    part.rows = end - begin;
    return part;
  }
  // Columns [begin, end) of every row; the stride stays.
  auto col_slice(int64_t begin, int64_t end) const {
    AID_CHECK(0 <= begin && begin <= end && end <= cols, "columns ", begin, "..", end, " of ", cols);
    auto part = *this;
    part.data = offset(begin);
    part.cols = end - begin;
    return part;
  }

 protected:
  Pointer offset(int64_t elements) const {
    using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<Pointer>>, const std::byte, std::byte>;
    return static_cast<Byte*>(data) + elements * static_cast<int64_t>(size_of(dtype));
  }
};

}  // namespace detail

using Span = detail::BasicSpan<void*>;

struct CSpan : detail::BasicSpan<const void*> {
  // The same elements where the host can read them: data on the CPU; of another device's memory null, or the copy that
  // Stream::upload was given. Ops check indices there.
  const void* host = nullptr;

  CSpan() = default;
  CSpan(const detail::BasicSpan<const void*>& other)
      : detail::BasicSpan<const void*>(other), host(other.device == Device::cpu ? other.data : nullptr) {}
  CSpan(const Span& other)
      : CSpan(detail::BasicSpan<const void*>{other.data, other.dtype, other.device, other.rows, other.cols,
                                             other.stride}) {}

  // The elements as T, for the host. Throws when the dtype is another one or the host has no copy.
  template <class T>
  const T* host_as() const {
    AID_CHECK(empty() || host != nullptr, "the host cannot read this span; expected one that Stream::upload made");
    AID_CHECK(dtype == dtype_of<T>(), "span holds ", name_of(dtype), ", asked for ", name_of(dtype_of<T>()));
    return static_cast<const T*>(host);
  }

  CSpan row_slice(int64_t begin, int64_t end) const { return with_host(BasicSpan::row_slice(begin, end)); }
  CSpan col_slice(int64_t begin, int64_t end) const { return with_host(BasicSpan::col_slice(begin, end)); }

 private:
  // A part of this span, whose host copy begins as far behind the whole's.
  CSpan with_host(CSpan part) const {
    if (host != nullptr) {
      part.host = static_cast<const std::byte*>(host) +
                  (static_cast<const std::byte*>(part.data) - static_cast<const std::byte*>(data));
    }
    return part;
  }
};

// Views of ordinary memory: matrix(p, rows, cols) and vector(p, n), dtype from the pointer.
template <class T>
Span matrix(T* data, int64_t rows, int64_t cols) {
  return {data, dtype_of<T>(), Device::cpu, rows, cols, cols};
}
template <class T>
CSpan matrix(const T* data, int64_t rows, int64_t cols) {
  return detail::BasicSpan<const void*>{data, dtype_of<T>(), Device::cpu, rows, cols, cols};
}
template <class T>
auto vector(T* data, int64_t n) {
  return matrix(data, 1, n);
}

}  // namespace aid
