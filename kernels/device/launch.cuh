// Launching kernels. Every launch of the engine is launch(): it checks, too.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <span>
#include <type_traits>

#include "kernels/core/stream.h"
#include "kernels/device/graphs.h"

namespace aid::cuda {

struct LaunchShape {
  dim3 grid, block;
  size_t shared = 0;  // bytes of dynamic shared memory
};

inline constexpr int kWarp = 32;

// Queues the kernel, or throws CudaError that names it, its shape and what CUDA said. A grid without blocks is no work.
// The kernel's own errors show at the next synchronisation.
template <class... Parameters>
void launch(const Stream& s, void (*kernel)(Parameters...), const LaunchShape& shape,
            std::type_identity_t<Parameters>... arguments) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  (__builtin_clear_padding(std::addressof(arguments)), ...);  // graphs compare arguments byte by byte
  const Argument list[] = {{std::addressof(arguments), sizeof(Parameters)}...};
  s.queue()->graphs().kernel(reinterpret_cast<const void*>(kernel), shape, list);
}

// How many blocks (or rows, or chunks) of `size` cover n.
constexpr unsigned blocks_for(int64_t n, int64_t size) { return static_cast<unsigned>((n + size - 1) / size); }

// A table that a kernel reads, on the device. It stays there: only a table other than the last one of this name is
// copied.
template <class T>
const T* kept_table(const Stream& s, const char* name, std::span<const T> table) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (table.empty()) return nullptr;
  return static_cast<const T*>(s.queue()->keep(name, table.data(), table.size_bytes()));
}

}  // namespace aid::cuda
