#pragma once
// Limits of the device that the runtime plays (state().major).

#include <cstddef>

namespace softgpu::runtime {

struct DeviceLimits {
  const char* name;
  int major, minor;
  int processors;            // streaming multiprocessors
  int shared_per_processor;  // bytes
  int shared_per_block;      // bytes, with cudaFuncAttributeMaxDynamicSharedMemorySize
  int l2_bytes;
  int clock_mhz, memory_clock_mhz, memory_bus_bits;
};
DeviceLimits limits();

// The same for 8.0 and 9.0.
inline constexpr int kStaticShared = 48 << 10;   // bytes a block may have without asking
inline constexpr int kReservedShared = 1 << 10;  // bytes a block that the driver takes for itself
inline constexpr int kRegisters = 65536;         // of 32 bits, per processor and per block
inline constexpr int kThreadsPerProcessor = 2048;
inline constexpr int kBlocksPerProcessor = 32;

}  // namespace softgpu::runtime
