// The memory of a span where files are written from.
#pragma once

#include <span>
#include <vector>

#include "kernels/core/buffer.h"

namespace aid::train {

// A contiguous span's bytes where the host can read them: its own memory, or a copy of a GPU's that `copies` keeps.
// What is queued on a stream is not waited for.
std::span<const std::byte> host_bytes(CSpan span, std::vector<Tensor>& copies);

}  // namespace aid::train
