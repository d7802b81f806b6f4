// Launches, functions' attributes, occupancy, and variables of the device.
#include <cuda_occupancy.h>

#include <cstring>

#include "tests/softgpu/memory.h"
#include "tests/softgpu/runtime/core.h"
#include "tests/softgpu/runtime/device.h"
#include "tests/softgpu/runtime/kernels.h"

namespace softgpu::runtime {
namespace {

struct Configuration {
  dim3 grid, block;
  size_t shared = 0;
  cudaStream_t stream = nullptr;
};

thread_local std::vector<Configuration> configurations;  // between <<<>>> and the stub that launches

constexpr int kUnknownRegisters = 32;  // for kernels without machine code for this device

std::string text(dim3 d) { return std::to_string(d.x) + " x " + std::to_string(d.y) + " x " + std::to_string(d.z); }

cudaError_t refuse(const Function& f, const std::string& why, cudaError_t error) {
  add_report({.kind = Kind::launch, .kernel = f.name(), .text = why});
  return error;
}

// What a driver refuses at the launch. cudaErrorInvalidConfiguration and cudaErrorLaunchOutOfResources as
// driver_types.h has them.
cudaError_t check(const Function& f, const KernelAttributes& a, const Configuration& c) {
  const DeviceLimits device = limits();
  const auto [grid, block, shared, stream] = c;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7FFFFFFF || grid.y > 65535 || grid.z > 65535) {
    return refuse(f, "a grid of " + text(grid) + " blocks; each from 1 to 2147483647 x 65535 x 65535",
                  cudaErrorInvalidConfiguration);
  }
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > 1024 || block.z > 64) {
    return refuse(f, "a block of " + text(block) + " threads; at most 1024, and 64 in z",
                  cudaErrorInvalidConfiguration);
  }
  if (threads > static_cast<uint64_t>(a.max_threads)) {
    return refuse(f,
                  "a block of " + text(block) + " threads; __launch_bounds__ allows " + std::to_string(a.max_threads),
                  cudaErrorLaunchOutOfResources);
  }
  const int registers = f.binary->registers(f.mangled);
  const uint64_t warps = (threads + 31) / 32,
                 warp_registers = (static_cast<uint64_t>(registers) * 32 + 255) / 256 * 256;
  if (warps * warp_registers > kRegisters) {
    return refuse(
        f, std::to_string(threads) + " threads of " + std::to_string(registers) + " registers; a block has 65536",
        cudaErrorLaunchOutOfResources);
  }
  const size_t allowed = f.max_dynamic_set ? f.max_dynamic_shared : kStaticShared - a.static_shared;
  if (shared > allowed || shared + a.static_shared > static_cast<size_t>(device.shared_per_block)) {
    return refuse(f,
                  std::to_string(shared) + " bytes of dynamic shared memory beside " + std::to_string(a.static_shared) +
                      " static ones; this function may have " + std::to_string(allowed) +
                      " (cudaFuncSetAttribute(cudaFuncAttributeMaxDynamicSharedMemorySize) raises it to " +
                      std::to_string(static_cast<size_t>(device.shared_per_block) - a.static_shared) + ")",
                  cudaErrorInvalidConfiguration);
  }
  return cudaSuccess;
}

// The sticky error that the fault of a kernel has on a GPU.
cudaError_t error_of(const LaunchResult& result) {
  switch (result.kind) {
    case Kind::out_of_bounds:
    case Kind::host_pointer:
    case Kind::use_after_free:
      return cudaErrorIllegalAddress;
    case Kind::misaligned:
      return cudaErrorMisalignedAddress;
    case Kind::launch:
      return result.error.find("assert") != std::string::npos ? cudaErrorAssert : cudaErrorLaunchFailure;
    default:
      return cudaErrorLaunchFailure;
  }
}

// A kernel's parameters, copied at the call as CUDA does.
struct Arguments {
  std::vector<std::vector<char>> values;
  std::vector<void*> pointers;

  Arguments(const KernelAttributes& a, void** args) {
    for (size_t i = 0; i < a.param_sizes.size(); ++i) {
      const char* from = static_cast<const char*>(args[i]);
      values.emplace_back(from, from + a.param_sizes[i]);
    }
    for (auto& value : values) pointers.push_back(value.data());
  }
};

// nullptr and an error: no such kernel, or one that the machine cannot run.
const Kernel* find_kernel(const void* host, cudaError_t& error) {
  const auto found = functions().find(host);
  error = cudaErrorInvalidDeviceFunction;
  if (found == functions().end()) return nullptr;
  try {
    const Kernel* kernel = found->second.binary->module().kernel(found->second.mangled);
    error = kernel ? cudaSuccess : cudaErrorInvalidDeviceFunction;
    return kernel;
  } catch (const LoadError& e) {
    error = refuse(found->second, e.what(), cudaErrorInvalidPtx);
    return nullptr;
  }
}

cudaError_t launch_on_stream(const void* host, const Configuration& c, void** args) {
  Runtime& r = state();
  CUstream_st* s = r.stream(c.stream);
  if (!s) return cudaErrorInvalidResourceHandle;
  Work work;
  const cudaError_t error = kernel_work({.func = const_cast<void*>(host),
                                         .gridDim = c.grid,
                                         .blockDim = c.block,
                                         .sharedMemBytes = static_cast<unsigned>(c.shared),
                                         .kernelParams = args},
                                        work);
  return error != cudaSuccess ? error : r.enqueue(*s, std::move(work));
}

// <<<>>> gives the program no value to look at: cudaGetLastError must be called.
cudaError_t launch_by_syntax(const void* host, const Configuration& c, void** args) {
  return call("cudaLaunchKernel", [&] {
    const cudaError_t error = launch_on_stream(host, c, args);
    if (error != cudaSuccess) {
      const auto found = functions().find(host);
      state().unread_launch = (found == functions().end() ? "an unknown kernel" : found->second.name()) +
                              std::string("<<<>>> failed with ") + cudaGetErrorName(error);
    }
    return error;
  });
}

cudaError_t symbol(const void* host, GlobalVariable& out) {
  const auto found = variables().find(host);
  if (found == variables().end()) return cudaErrorInvalidSymbol;
  try {
    const GlobalVariable* variable = found->second.binary->module().global(found->second.mangled);
    if (!variable) return cudaErrorInvalidSymbol;
    out = *variable;
    return cudaSuccess;
  } catch (const LoadError& e) {
    state().report(Kind::launch, e.what());
    return cudaErrorInvalidPtx;
  }
}

cudaError_t occupancy(int* blocks, const void* host, int block_size, size_t dynamic_shared) {
  if (!blocks || block_size <= 0) return cudaErrorInvalidValue;
  cudaFuncAttributes a;
  cudaDeviceProp prop;
  if (cudaError_t error = cudaFuncGetAttributes(&a, host); error != cudaSuccess) return error;
  if (cudaError_t error = cudaGetDeviceProperties(&prop, 0); error != cudaSuccess) return error;
  const cudaOccDeviceProp device(prop);
  cudaOccFuncAttributes function(a);
  cudaOccDeviceState device_state;
  cudaOccResult result;
  if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &function, &device_state, block_size, dynamic_shared) !=
      CUDA_OCC_SUCCESS) {
    return cudaErrorInvalidValue;
  }
  *blocks = result.activeBlocksPerMultiprocessor;
  return cudaSuccess;
}

}  // namespace

cudaError_t kernel_work(const cudaKernelNodeParams& params, Work& work) {
  cudaError_t error;
  const Kernel* kernel = find_kernel(params.func, error);
  if (!kernel) return error;
  const Function& f = functions()[params.func];
  const KernelAttributes& a = attributes(*kernel);
  const Configuration c{params.gridDim, params.blockDim, params.sharedMemBytes};
  if (error = check(f, a, c); error != cudaSuccess) return error;
  auto arguments = std::make_shared<Arguments>(a, params.kernelParams);
  work.kind = Work::Kind::kernel;
  work.what = f.name();
  work.run = [kernel, c, arguments, name = f.name()] {
    Runtime& rt = state();
    if (cudaError_t injected = rt.injected("kernel"); injected != cudaSuccess) return rt.fail(injected);
    ++rt.counts["kernel"];
    const Dim grid{c.grid.x, c.grid.y, c.grid.z}, block{c.block.x, c.block.y, c.block.z};
    const LaunchResult result = launch(*kernel, grid, block, c.shared, arguments->pointers.data(), rt.launch_options);
    if (rt.on_launch) rt.on_launch({name, grid, block, c.shared, result});
    if (!result.ok) rt.fail(error_of(result));
  };
  return cudaSuccess;
}

}  // namespace softgpu::runtime

using namespace softgpu::runtime;
using softgpu::GlobalVariable;
using softgpu::Kernel;

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the runtime's
extern "C" {

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream) {
  std::lock_guard lock(state().mutex);
  if (!state().unread_launch.empty()) {
    state().report(softgpu::Kind::launch,
                   state().unread_launch + ", and the next launch came before any call of cudaGetLastError");
    state().unread_launch.clear();
  }
  configurations.push_back({grid, block, shared, stream});
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  if (configurations.empty()) return cudaErrorMissingConfiguration;
  const Configuration c = configurations.back();
  configurations.pop_back();
  *grid = c.grid, *block = c.block, *shared = c.shared;
  *static_cast<cudaStream_t*>(stream) = c.stream;
  return cudaSuccess;
}

// A handle of a kernel is its host address.
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(host));
  return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** args, size_t shared,
                               cudaStream_t stream) {
  return launch_by_syntax(kernel, {grid, block, shared, stream}, args);
}

cudaError_t cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  return call("cudaGetKernel", [&] {
    if (!kernel) return cudaErrorInvalidValue;
    return functions().contains(host) ? __cudaGetKernel(kernel, host) : cudaErrorInvalidDeviceFunction;
  });
}

cudaError_t cudaLaunchKernel(const void* host, dim3 grid, dim3 block, void** args, size_t shared, cudaStream_t stream) {
  return call("cudaLaunchKernel", [&] { return launch_on_stream(host, {grid, block, shared, stream}, args); });
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* host, void** args) {
  return call("cudaLaunchKernel", [&] {
    if (!config) return cudaErrorInvalidValue;
    for (unsigned i = 0; i < config->numAttrs; ++i) {
      const cudaLaunchAttributeID id = config->attrs[i].id;
      // Clusters, cooperative and programmatic dependent launches change what a kernel may do: not modelled.
      if (id != cudaLaunchAttributeIgnore && id != cudaLaunchAttributePriority) return cudaErrorNotSupported;
    }
    return launch_on_stream(host, {config->gridDim, config->blockDim, config->dynamicSmemBytes, config->stream}, args);
  });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* out, const void* host) {
  return call("cudaFuncGetAttributes", [&] {
    if (!out) return cudaErrorInvalidValue;
    cudaError_t error;
    const Kernel* kernel = find_kernel(host, error);
    if (!kernel) return error;
    const Function& f = functions()[host];
    const softgpu::KernelAttributes& a = softgpu::attributes(*kernel);
    const int registers = f.binary->registers(f.mangled);
    *out = {};
    out->sharedSizeBytes = a.static_shared;
    out->localSizeBytes = a.local;
    out->maxThreadsPerBlock = a.max_threads;
    out->numRegs = registers ? registers : kUnknownRegisters;
    out->ptxVersion = out->binaryVersion = limits().major * 10;
    out->maxDynamicSharedSizeBytes =
        static_cast<int>(f.max_dynamic_set ? f.max_dynamic_shared : kStaticShared - a.static_shared);
    out->preferredShmemCarveout = f.carveout;
    return cudaSuccess;
  });
}

cudaError_t cudaFuncSetAttribute(const void* host, cudaFuncAttribute attr, int value) {
  return call("cudaFuncSetAttribute", [&] {
    cudaError_t error;
    const Kernel* kernel = find_kernel(host, error);
    if (!kernel) return error;
    Function& f = functions()[host];
    if (attr == cudaFuncAttributePreferredSharedMemoryCarveout && value >= -1 && value <= 100) {
      f.carveout = value;
      return cudaSuccess;
    }
    const int most = limits().shared_per_block - static_cast<int>(softgpu::attributes(*kernel).static_shared);
    if (attr != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || value > most) return cudaErrorInvalidValue;
    f.max_dynamic_shared = static_cast<size_t>(value);
    f.max_dynamic_set = true;
    return cudaSuccess;
  });
}

cudaError_t cudaFuncSetCacheConfig(const void* host, cudaFuncCache) {
  return call("cudaFuncSetCacheConfig",
              [&] { return functions().contains(host) ? cudaSuccess : cudaErrorInvalidDeviceFunction; });
}

cudaError_t cudaFuncGetName(const char** name, const void* host) {
  return call("cudaFuncGetName", [&] {
    const auto found = functions().find(host);
    if (!name || found == functions().end()) return name ? cudaErrorInvalidDeviceFunction : cudaErrorInvalidValue;
    *name = found->second.mangled.c_str();
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* host, int block_size,
                                                          size_t shared) {
  return call("cudaOccupancyMaxActiveBlocksPerMultiprocessor",
              [&] { return occupancy(blocks, host, block_size, shared); });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* host, int block_size,
                                                                   size_t shared, unsigned) {
  return call("cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags",
              [&] { return occupancy(blocks, host, block_size, shared); });
}

cudaError_t cudaGetSymbolAddress(void** out, const void* host) {
  return call("cudaGetSymbolAddress", [&] {
    GlobalVariable variable;
    if (cudaError_t error = symbol(host, variable); error != cudaSuccess) return error;
    *out = variable.address;
    return cudaSuccess;
  });
}

cudaError_t cudaGetSymbolSize(size_t* out, const void* host) {
  return call("cudaGetSymbolSize", [&] {
    GlobalVariable variable;
    if (cudaError_t error = symbol(host, variable); error != cudaSuccess) return error;
    *out = variable.size;
    return cudaSuccess;
  });
}

static cudaError_t symbol_place(const void* host, size_t offset, size_t bytes, char*& place) {
  GlobalVariable variable;
  if (cudaError_t error = symbol(host, variable); error != cudaSuccess) return error;
  if (offset + bytes > variable.size) return cudaErrorInvalidValue;
  place = static_cast<char*>(variable.address) + offset;
  return cudaSuccess;
}

cudaError_t cudaMemcpyToSymbolAsync(const void* host, const void* src, size_t bytes, size_t offset, cudaMemcpyKind kind,
                                    cudaStream_t stream) {
  char* place = nullptr;
  const cudaError_t error = call("cudaMemcpyToSymbolAsync", [&] { return symbol_place(host, offset, bytes, place); });
  return error != cudaSuccess ? error : cudaMemcpyAsync(place, src, bytes, kind, stream);
}

cudaError_t cudaMemcpyToSymbol(const void* host, const void* src, size_t bytes, size_t offset, cudaMemcpyKind kind) {
  char* place = nullptr;
  const cudaError_t error = call("cudaMemcpyToSymbol", [&] { return symbol_place(host, offset, bytes, place); });
  return error != cudaSuccess ? error : cudaMemcpy(place, src, bytes, kind);
}

cudaError_t cudaMemcpyFromSymbol(void* dst, const void* host, size_t bytes, size_t offset, cudaMemcpyKind kind) {
  char* place = nullptr;
  const cudaError_t error = call("cudaMemcpyFromSymbol", [&] { return symbol_place(host, offset, bytes, place); });
  return error != cudaSuccess ? error : cudaMemcpy(dst, place, bytes, kind);
}
}
// NOLINTEND(bugprone-reserved-identifier)
