#include <thread>

#include "tests/softgpu/runtime/fixture.h"
#include "tests/softgpu/runtime/test_kernels.h"

namespace softgpu {
namespace {

using Floats = std::vector<float>;

class Errors : public RuntimeTest {
 protected:
  static cudaError_t launch_shared(float* x, size_t bytes) {
    int floats = static_cast<int>(bytes / sizeof(float));
    void* args[] = {&x, &floats};
    return cudaLaunchKernel(test_kernels::fill_shared, dim3(1), dim3(32), args, bytes, nullptr);
  }
};

TEST_F(Errors, AreKeptPerThreadUntilRead) {
  EXPECT_EQ(cudaSetDevice(7), cudaErrorInvalidDevice);
  std::thread([] { EXPECT_EQ(cudaGetLastError(), cudaSuccess); }).join();
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_STREQ(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
}

TEST_F(Errors, AFaultInAKernelIsSticky) {
  DeviceArray x(Floats{1});
  float* p = x.data();
  int n = 1;
  void* args[] = {&p, &n};
  EXPECT_EQ(cudaLaunchKernel(test_kernels::past_the_end, dim3(1), dim3(1), args, 0, nullptr), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  void* q = nullptr;
  EXPECT_EQ(cudaMalloc(&q, 4), cudaErrorIllegalAddress);
  expect_report(Kind::out_of_bounds, "past_the_end");
}

TEST_F(Errors, AMisalignedAccessHasItsOwnError) {
  DeviceArray x(Floats{1, 2, 3, 4});
  float* p = x.data();
  void* args[] = {&p};
  EXPECT_EQ(cudaLaunchKernel(test_kernels::misaligned, dim3(1), dim3(1), args, 0, nullptr), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorMisalignedAddress);
  expect_report(Kind::misaligned, "misaligned");
}

TEST_F(Errors, LaunchesThatADriverRefuses) {
  DeviceArray x(1024);
  test_kernels::launch_narrow(x.data(), 65);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchOutOfResources);
  expect_report(Kind::launch, "__launch_bounds__ allows 64");
  test_kernels::launch_narrow(x.data(), 1025);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  expect_report(Kind::launch, "at most 1024");
  test_kernels::launch_add(x.data(), 1, -1000, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  expect_report(Kind::launch, "a grid of");
  int unknown = 0;
  EXPECT_EQ(cudaLaunchKernel(&unknown, dim3(1), dim3(1), nullptr, 0, nullptr), cudaErrorInvalidDeviceFunction);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDeviceFunction);
}

// Planted: more shared memory than was asked for.
TEST_F(Errors, TooMuchSharedMemory) {
  DeviceArray x(32);
  EXPECT_EQ(launch_shared(x.data(), 48 << 10), cudaSuccess);
  EXPECT_EQ(launch_shared(x.data(), (48 << 10) + 4), cudaErrorInvalidConfiguration);
  expect_report(Kind::launch, "cudaFuncAttributeMaxDynamicSharedMemorySize");
  EXPECT_EQ(cudaFuncSetAttribute(test_kernels::fill_shared, cudaFuncAttributeMaxDynamicSharedMemorySize, 164 << 10),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaFuncSetAttribute(test_kernels::fill_shared, cudaFuncAttributeMaxDynamicSharedMemorySize, 163 << 10),
            cudaSuccess);
  EXPECT_EQ(launch_shared(x.data(), 163 << 10), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(x.values()[0], (163 << 8) - 1);
}

// Planted: nobody looks at the error of a launch.
TEST_F(Errors, ALaunchErrorThatNobodyReads) {
  DeviceArray x(Floats{1});
  test_kernels::launch_narrow(x.data(), 100);
  clear_reports();
  test_kernels::launch_add(x.data(), 1, 1, nullptr);
  expect_report(Kind::launch, "cudaErrorLaunchOutOfResources, and the next launch came before");
  test_kernels::launch_narrow(x.data(), 100);
  clear_reports();
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);  // does not return it
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchOutOfResources);
}

TEST_F(Errors, ALaunchErrorAtTheEnd) {
  test_kernels::launch_narrow(nullptr, 100);
  clear_reports();
  finish_runtime();
  expect_report(Kind::launch, "narrow");
}

TEST_F(Errors, CallsFailOnPurpose) {
  void* p = nullptr;
  fail_call("cudaMalloc", 2, cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&p, 4), cudaSuccess);
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&p, 4), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&p, 4), cudaSuccess);
  EXPECT_EQ(calls("cudaMalloc"), 3u);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMemset(p, 0, 4), cudaSuccess);
  fail_call("kernel", 1, cudaErrorLaunchFailure);
  test_kernels::launch_add(static_cast<float*>(p), 1, 1, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaFree(p), cudaErrorLaunchFailure);
}

TEST_F(Errors, EveryNthCallCanFail) {
  for (uint64_t nth = 1; nth <= 3; ++nth) {
    fail_call("*", nth, cudaErrorUnknown);
    int failed = 0;
    cudaStream_t stream = nullptr;
    failed += cudaStreamCreate(&stream) != cudaSuccess;
    failed += cudaStreamSynchronize(stream) != cudaSuccess;
    failed += cudaDeviceSynchronize() != cudaSuccess;
    EXPECT_EQ(failed, 1);
  }
}

TEST_F(Errors, TheDeviceDescribesItself) {
  cudaDeviceProp prop;
  EXPECT_EQ(cudaGetDeviceProperties(&prop, 0), cudaSuccess);
  EXPECT_EQ(prop.major, 8);
  EXPECT_EQ(prop.multiProcessorCount, 108);
  int blocks = 0;
  EXPECT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, test_kernels::add, 1024, 0), cudaSuccess);
  EXPECT_EQ(blocks, 2);  // 2048 threads
  EXPECT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, test_kernels::add, 32, 40 << 10), cudaSuccess);
  EXPECT_EQ(blocks, 4);  // 164 KiB of shared memory, 41 a block
  cudaFuncAttributes attributes;
  EXPECT_EQ(cudaFuncGetAttributes(&attributes, test_kernels::narrow), cudaSuccess);
  EXPECT_EQ(attributes.maxThreadsPerBlock, 64);
  EXPECT_GT(attributes.numRegs, 0);
  EXPECT_LT(attributes.numRegs, 32);  // read from the machine code: a small kernel
  set_device(9);
  EXPECT_EQ(cudaGetDeviceProperties(&prop, 0), cudaSuccess);
  EXPECT_EQ(prop.multiProcessorCount, 132);
  EXPECT_EQ(cudaGetDeviceProperties(&prop, 1), cudaErrorInvalidDevice);
}

// ---- memory ----

class Memory : public RuntimeTest {};

TEST_F(Memory, FreedTwice) {
  void* p = nullptr;
  EXPECT_EQ(cudaMalloc(&p, 100), cudaSuccess);
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  EXPECT_EQ(cudaFree(p), cudaErrorInvalidValue);
  EXPECT_EQ(reports().size(), 1u);
  clear_reports();
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
}

TEST_F(Memory, LeaksAtTheEnd) {
  void *p = nullptr, *pinned = nullptr;
  EXPECT_EQ(cudaMalloc(&p, 100), cudaSuccess);
  finish_runtime();
  expect_report(Kind::leak, "100 bytes");
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  EXPECT_EQ(cudaHostAlloc(&pinned, 200, cudaHostAllocDefault), cudaSuccess);
  finish_runtime();
  expect_report(Kind::leak, "200 bytes");
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

// Planted: a staging buffer is freed while the device still reads it.
TEST_F(Memory, PinnedMemoryFreedInFlight) {
  cudaStream_t stream = nullptr;
  EXPECT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  DeviceArray x(16);
  void* pinned = nullptr;
  EXPECT_EQ(cudaMallocHost(&pinned, 64), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(x.data(), pinned, 64, cudaMemcpyHostToDevice, stream), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  expect_report(Kind::runtime,
                "cudaFreeHost gives back pinned memory that cudaMemcpyAsync of 64 bytes has not finished with");
}

TEST_F(Memory, CopiesAreChecked) {
  DeviceArray x(Floats{1, 2});
  Floats host(3);
  EXPECT_EQ(cudaMemcpy(host.data(), x.data(), 12, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(reports().at(0).kind, Kind::out_of_bounds);
  clear_reports();
  EXPECT_EQ(cudaMemcpy(x.data(), host.data(), 8, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(reports().size(), 1u);
  clear_reports();
  DeviceArray y(2);
  EXPECT_EQ(cudaMemcpy(host.data(), y.data(), 8, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(reports().at(0).kind, Kind::uninitialised);
  clear_reports();
  EXPECT_EQ(cudaMemcpy(y.data(), x.data(), 8, cudaMemcpyDefault), cudaSuccess);
  EXPECT_EQ(y.values(), (Floats{1, 2}));
  EXPECT_EQ(cudaMemcpy(host.data(), x.data(), 8, static_cast<cudaMemcpyKind>(7)), cudaErrorInvalidMemcpyDirection);
}

TEST_F(Memory, RectanglesAreCopiedAndFilled) {
  DeviceArray x(Floats{0, 1, 2, 3, 4, 5, 6, 7});  // 2 x 4
  Floats host(4);
  EXPECT_EQ(cudaMemcpy2D(host.data(), 8, x.data() + 1, 16, 8, 2, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(host, (Floats{1, 2, 5, 6}));
  EXPECT_EQ(cudaMemset2DAsync(x.data(), 16, 0, 4, 2, nullptr), cudaSuccess);
  EXPECT_EQ(x.values(), (Floats{0, 1, 2, 3, 0, 5, 6, 7}));
  EXPECT_EQ(cudaMemcpy2D(host.data(), 4, x.data(), 16, 8, 2, cudaMemcpyDeviceToHost), cudaErrorInvalidPitchValue);
}

TEST_F(Memory, RunsOut) {
  const MemoryUse before = memory_use();
  set_memory_limit(before.live + 1000000);
  void *p = nullptr, *q = nullptr;
  EXPECT_EQ(cudaMalloc(&p, 600000), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&q, 600000), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  size_t free = 0, total = 0;
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_LE(free, 400000u);
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&q, 600000), cudaSuccess);
  EXPECT_EQ(cudaFree(q), cudaSuccess);
  set_memory_limit(before.limit);
}

// Planted: a stream-ordered block used in another stream after its own stream gave it back.
TEST_F(Memory, StreamOrderedBlockUsedAfterItsFree) {
  cudaStream_t stream = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  void* p = nullptr;
  EXPECT_EQ(cudaMallocAsync(&p, 4, stream), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, stream), cudaSuccess);
  EXPECT_EQ(cudaFreeAsync(p, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  float value = 0;
  EXPECT_EQ(cudaMemcpy(&value, p, 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(reports().at(0).kind, Kind::use_after_free);
  clear_reports();
}

// Planted: written by another stream before the block exists in its own.
TEST_F(Memory, StreamOrderedBlockUsedBeforeItExists) {
  cudaStream_t owner = nullptr, other = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&owner, cudaStreamNonBlocking), cudaSuccess);
  EXPECT_EQ(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
  void* p = nullptr;
  EXPECT_EQ(cudaMallocAsync(&p, 4, owner), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, other), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  float value = 0;
  EXPECT_EQ(cudaMemcpy(&value, p, 4, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(reports().at(0).kind, Kind::uninitialised);
  clear_reports();
}

TEST_F(Memory, VariablesOfTheDevice) {
  DeviceArray x(Floats{3});
  EXPECT_EQ(test_kernels::set_scale(4), cudaSuccess);
  float* p = x.data();
  int n = 1;
  void* args[] = {&p, &n};
  EXPECT_EQ(cudaLaunchKernel(test_kernels::scale, dim3(1), dim3(1), args, 0, nullptr), cudaSuccess);
  EXPECT_EQ(x.values()[0], 12);
}

TEST_F(Memory, PointersAreToldApart) {
  void *device = nullptr, *pinned = nullptr;
  int local = 0;
  EXPECT_EQ(cudaMalloc(&device, 4), cudaSuccess);
  EXPECT_EQ(cudaMallocHost(&pinned, 4), cudaSuccess);
  cudaPointerAttributes attributes;
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, device), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, pinned), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, &local), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
  EXPECT_EQ(cudaFree(device), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

}  // namespace
}  // namespace softgpu
