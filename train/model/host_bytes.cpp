#include "train/model/host_bytes.h"

namespace aid::train {

std::span<const std::byte> host_bytes(CSpan span, std::vector<Tensor>& copies) {
  if (span.device != Device::cpu) {
    copies.emplace_back(span.dtype, span.rows, span.cols);
    copy(copies.back(), span);
    span = copies.back();
  }
  return {static_cast<const std::byte*>(span.data), static_cast<size_t>(span.bytes())};
}

}  // namespace aid::train
