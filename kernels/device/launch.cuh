// Launching kernels. Every launch of the engine is launch(): it checks, too.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <type_traits>
#include <vector>

#include "kernels/core/stream.h"
#include "kernels/device/runtime.h"

namespace aid::cuda {

struct LaunchShape {
  dim3 grid, block;
  size_t shared = 0;  // bytes of dynamic shared memory
};

inline constexpr int kWarp = 32;

// Throws CudaError that names the kernel, its shape and what CUDA said.
[[noreturn]] void launch_failed(const void* kernel, const LaunchShape& shape, cudaError_t error);

// Queues the kernel. A grid without blocks is no work. The kernel's own errors show at the next synchronisation.
template <class... Parameters>
void launch(const Stream& s, void (*kernel)(Parameters...), const LaunchShape& shape,
            const std::type_identity_t<Parameters>&... arguments) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  constexpr size_t kWithoutAsking = 48 << 10;
  const void* const function = reinterpret_cast<const void*>(kernel);
  if (shape.shared > kWithoutAsking) {
    const cudaError_t error =
        cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shape.shared));
    if (error != cudaSuccess) launch_failed(function, shape, error);
  }
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(std::addressof(arguments)))...};
  const cudaError_t error =
      cudaLaunchKernel(function, shape.grid, shape.block, pointers, shape.shared, s.queue()->stream());
  if (error != cudaSuccess) launch_failed(function, shape, error);
}

// How many blocks (or rows, or chunks) of `size` cover n.
constexpr unsigned blocks_for(int64_t n, int64_t size) { return static_cast<unsigned>((n + size - 1) / size); }

// A table that a kernel reads, in the arena.
template <class T>
const T* upload_table(Stream& s, const T* table, size_t count) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (count == 0) return nullptr;
  const auto* bytes = reinterpret_cast<const int8_t*>(table);
  return static_cast<const T*>(s.upload(vector(bytes, static_cast<int64_t>(count * sizeof(T)))).data);
}

}  // namespace aid::cuda
