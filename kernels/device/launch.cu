#include "kernels/device/launch.cuh"

#include <cxxabi.h>

#include <cstdlib>

namespace aid::cuda {
namespace {

std::string name_of(const void* kernel) {
  const char* mangled = nullptr;
  if (cudaFuncGetName(&mangled, kernel) != cudaSuccess || mangled == nullptr) return "a kernel";
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(mangled, nullptr, nullptr, nullptr), std::free);
  return name ? name.get() : mangled;
}

std::string text_of(const dim3& d) {
  return std::to_string(d.x) + " x " + std::to_string(d.y) + " x " + std::to_string(d.z);
}

}  // namespace

void launch_failed(const void* kernel, const LaunchShape& shape, cudaError_t error) {
  (void)cudaGetLastError();  // the error is told once
  const char* advice =
      error == cudaErrorNoKernelImageForDevice || error == cudaErrorUnsupportedPtxVersion
          ? "; this program was compiled for other GPUs: rebuild with this one in AID_CUDA_ARCHITECTURES"
          : "; --device cpu works without a GPU";
  throw CudaError("launch of " + name_of(kernel) + " with " + text_of(shape.grid) + " blocks of " +
                  text_of(shape.block) + " threads and " + std::to_string(shape.shared) +
                  " bytes of shared memory: " + cudaGetErrorString(error) + advice);
}

}  // namespace aid::cuda
