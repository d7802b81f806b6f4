// The device that queries describe, memory pools, and the names of errors. Figures: NVIDIA's tuning guides for the A100
// and the H100 and the table of technical specifications per compute capability in the CUDA C++ programming guide.
#include <cstring>

#include "tests/softgpu/memory.h"
#include "tests/softgpu/runtime/core.h"
#include "tests/softgpu/runtime/device.h"

namespace softgpu::runtime {

DeviceLimits limits() {
  if (state().major == 8)
    return {"Software GPU (as A100)", 8, 0, 108, 164 << 10, 163 << 10, 40 << 20, 1410, 1215, 5120};
  return {"Software GPU (as H100)", 9, 0, 132, 228 << 10, 227 << 10, 50 << 20, 1980, 2619, 5120};
}

namespace {

template <class F>
cudaError_t on_device(const char* name, int device, F&& body) {
  return call(name, {.harmless = true}, [&] { return device == 0 ? body() : cudaErrorInvalidDevice; });
}

cudaError_t attribute(int* value, cudaDeviceAttr attr) {
  const DeviceLimits d = limits();
  switch (attr) {
    case cudaDevAttrComputeCapabilityMajor:
      *value = d.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = d.minor;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = d.processors;
      break;
    case cudaDevAttrWarpSize:
      *value = 32;
      break;
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
      *value = 1024;
      break;
    case cudaDevAttrMaxBlockDimZ:
      *value = 64;
      break;
    case cudaDevAttrMaxGridDimX:
      *value = 0x7FFFFFFF;
      break;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
      *value = 65535;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = kStaticShared;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = d.shared_per_block;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = d.shared_per_processor;
      break;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      *value = kReservedShared;
      break;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      *value = kRegisters;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = kThreadsPerProcessor;
      break;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      *value = kBlocksPerProcessor;
      break;
    case cudaDevAttrTotalConstantMemory:
      *value = 65536;
      break;
    case cudaDevAttrL2CacheSize:
      *value = d.l2_bytes;
      break;
    case cudaDevAttrClockRate:
      *value = d.clock_mhz * 1000;
      break;
    case cudaDevAttrMemoryClockRate:
      *value = d.memory_clock_mhz * 1000;
      break;
    case cudaDevAttrGlobalMemoryBusWidth:
      *value = d.memory_bus_bits;
      break;
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrHostRegisterSupported:
      *value = 1;
      break;
    case cudaDevAttrAsyncEngineCount:
      *value = 3;
      break;
    case cudaDevAttrManagedMemory:
    case cudaDevAttrConcurrentManagedAccess:
    case cudaDevAttrPageableMemoryAccess:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrIntegrated:
      *value = 0;
      break;  // none of these is modelled
    default:
      return cudaErrorInvalidValue;
  }
  return cudaSuccess;
}

struct ErrorText {
  cudaError_t error;
  const char *name, *text;
};

constexpr ErrorText kErrors[] = {
#define AID_ERROR(error, text) \
  { error, #error, text }
    AID_ERROR(cudaSuccess, "no error"),
    AID_ERROR(cudaErrorInvalidValue, "invalid argument"),
    AID_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    AID_ERROR(cudaErrorInitializationError, "initialization error"),
    AID_ERROR(cudaErrorCudartUnloading, "driver shutting down"),
    AID_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    AID_ERROR(cudaErrorInvalidPitchValue, "invalid pitch argument"),
    AID_ERROR(cudaErrorInvalidSymbol, "invalid device symbol"),
    AID_ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    AID_ERROR(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    AID_ERROR(cudaErrorMissingConfiguration, "__global__ function call is not configured"),
    AID_ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    AID_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    AID_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    AID_ERROR(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    AID_ERROR(cudaErrorInvalidPtx, "a PTX JIT compilation failed"),
    AID_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    AID_ERROR(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    AID_ERROR(cudaErrorNotReady, "device not ready"),
    AID_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    AID_ERROR(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    AID_ERROR(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    AID_ERROR(cudaErrorAssert, "device-side assert triggered"),
    AID_ERROR(cudaErrorHostMemoryAlreadyRegistered, "part or all of the requested memory range is already mapped"),
    AID_ERROR(cudaErrorHostMemoryNotRegistered, "pointer does not correspond to a registered memory region"),
    AID_ERROR(cudaErrorIllegalInstruction, "an illegal instruction was encountered"),
    AID_ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    AID_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    AID_ERROR(cudaErrorNotPermitted, "operation not permitted"),
    AID_ERROR(cudaErrorNotSupported, "operation not supported"),
    AID_ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    AID_ERROR(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    AID_ERROR(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences"),
    AID_ERROR(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"),
    AID_ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    AID_ERROR(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    AID_ERROR(cudaErrorStreamCaptureImplicit,
              "operation would make the legacy stream depend on a capturing blocking stream"),
    AID_ERROR(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
    AID_ERROR(cudaErrorGraphExecUpdateFailure,
              "the graph update was not performed because it included changes which violated constraints "
              "specific to instantiated graph update"),
    AID_ERROR(cudaErrorUnknown, "unknown error"),
#undef AID_ERROR
};

const ErrorText* find_error(cudaError_t error) {
  for (const ErrorText& entry : kErrors) {
    if (entry.error == error) return &entry;
  }
  return nullptr;
}

cudaError_t pool_attribute(cudaMemPool_t pool, cudaMemPoolAttr attr, void* value, bool set) {
  Runtime& r = state();
  if (!value || (pool != &r.default_pool && !r.pools.contains(pool))) return cudaErrorInvalidValue;
  auto& number = *static_cast<uint64_t*>(value);
  switch (attr) {
    case cudaMemPoolAttrReleaseThreshold:
      set ? pool->threshold = number : number = pool->threshold;
      break;
    case cudaMemPoolAttrReservedMemCurrent:
    case cudaMemPoolAttrUsedMemCurrent:
      number = softgpu::memory_use().live;
      break;
    case cudaMemPoolAttrReservedMemHigh:
    case cudaMemPoolAttrUsedMemHigh:
      number = softgpu::memory_use().peak;
      break;
    case cudaMemPoolReuseFollowEventDependencies:
    case cudaMemPoolReuseAllowOpportunistic:
    case cudaMemPoolReuseAllowInternalDependencies:
      if (!set) *static_cast<int*>(value) = 1;
      break;
    default:
      return cudaErrorInvalidValue;
  }
  return cudaSuccess;
}

}  // namespace
}  // namespace softgpu::runtime

using namespace softgpu::runtime;

extern "C" {

const char* cudaGetErrorName(cudaError_t error) {
  const ErrorText* entry = find_error(error);
  return entry ? entry->name : "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  const ErrorText* entry = find_error(error);
  return entry ? entry->text : "unrecognized error code";
}

cudaError_t cudaGetDeviceCount(int* count) {
  return call("cudaGetDeviceCount", [&] { return count ? *count = 1, cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t cudaGetDevice(int* device) {
  return call("cudaGetDevice", [&] { return device ? *device = 0, cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t cudaSetDevice(int device) {
  return call("cudaSetDevice", [&] { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; });
}

cudaError_t cudaInitDevice(int device, unsigned, unsigned) {
  return call("cudaInitDevice", [&] { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; });
}

cudaError_t cudaSetDeviceFlags(unsigned) {
  return call("cudaSetDeviceFlags", [] { return cudaSuccess; });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attr, int device) {
  return on_device("cudaDeviceGetAttribute", device,
                   [&] { return value ? attribute(value, attr) : cudaErrorInvalidValue; });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* prop, int device) {
  return on_device("cudaGetDeviceProperties", device, [&] {
    if (!prop) return cudaErrorInvalidValue;
    const DeviceLimits d = limits();
    *prop = {};
    std::strncpy(prop->name, d.name, sizeof prop->name - 1);
    prop->totalGlobalMem = softgpu::memory_use().limit;
    prop->sharedMemPerBlock = kStaticShared;
    prop->sharedMemPerBlockOptin = static_cast<size_t>(d.shared_per_block);
    prop->sharedMemPerMultiprocessor = static_cast<size_t>(d.shared_per_processor);
    prop->reservedSharedMemPerBlock = kReservedShared;
    prop->regsPerBlock = prop->regsPerMultiprocessor = kRegisters;
    prop->warpSize = 32;
    prop->memPitch = 0x7FFFFFFF;
    prop->maxThreadsPerBlock = prop->maxThreadsDim[0] = prop->maxThreadsDim[1] = 1024;
    prop->maxThreadsDim[2] = 64;
    prop->maxGridSize[0] = 0x7FFFFFFF;
    prop->maxGridSize[1] = prop->maxGridSize[2] = 65535;
    prop->maxThreadsPerMultiProcessor = kThreadsPerProcessor;
    prop->maxBlocksPerMultiProcessor = kBlocksPerProcessor;
    prop->totalConstMem = 65536;
    prop->major = d.major;
    prop->minor = d.minor;
    prop->multiProcessorCount = d.processors;
    prop->l2CacheSize = d.l2_bytes;
    prop->memoryBusWidth = d.memory_bus_bits;
    prop->asyncEngineCount = 3;
    prop->concurrentKernels = prop->unifiedAddressing = prop->memoryPoolsSupported = prop->streamPrioritiesSupported =
        1;
    prop->hostRegisterSupported = 1;
    prop->textureAlignment = 512;
    return cudaSuccess;
  });
}

cudaError_t cudaDriverGetVersion(int* version) {
  return version ? *version = CUDART_VERSION, cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  return version ? *version = CUDART_VERSION, cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaDeviceSynchronize() {
  return call("cudaDeviceSynchronize", {.waits = true, .refused_in_capture = true}, [] {
    state().wait_all();
    return cudaSuccess;
  });
}

// A lost device stays lost until the process ends (cudaErrorIllegalAddress's documentation), so nothing is cleared
// here.
cudaError_t cudaDeviceReset() {
  return call("cudaDeviceReset", {.waits = true, .refused_in_capture = true}, [] {
    state().wait_all();
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  return on_device("cudaDeviceGetDefaultMemPool", device,
                   [&] { return pool ? *pool = &state().default_pool, cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) {
  return on_device("cudaDeviceGetMemPool", device,
                   [&] { return pool ? *pool = state().pool, cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t cudaDeviceSetMemPool(int device, cudaMemPool_t pool) {
  return on_device("cudaDeviceSetMemPool", device, [&] {
    if (pool != &state().default_pool && !state().pools.contains(pool)) return cudaErrorInvalidValue;
    state().pool = pool;
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* out, const cudaMemPoolProps* props) {
  return call("cudaMemPoolCreate", [&] {
    if (!out || !props || props->allocType != cudaMemAllocationTypePinned ||
        props->location.type != cudaMemLocationTypeDevice || props->location.id != 0) {
      return cudaErrorInvalidValue;
    }
    *out = new CUmemPoolHandle_st;
    state().pools.insert(*out);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  return call("cudaMemPoolDestroy", [&] {
    if (!state().pools.erase(pool)) return cudaErrorInvalidValue;
    if (state().pool == pool) state().pool = &state().default_pool;
    delete pool;
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attr, void* value) {
  return call("cudaMemPoolSetAttribute", [&] { return pool_attribute(pool, attr, value, true); });
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attr, void* value) {
  return call("cudaMemPoolGetAttribute", [&] { return pool_attribute(pool, attr, value, false); });
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t) {
  return call("cudaMemPoolTrimTo", [&] {
    return pool == &state().default_pool || state().pools.contains(pool) ? cudaSuccess : cudaErrorInvalidValue;
  });
}
}
