#include "kernels/device/runtime.h"

#include <algorithm>
#include <cstring>
#include <utility>

#ifdef AID_CUDA
#include <cuda_runtime_api.h>

#include "kernels/device/graphs.h"
#endif

namespace aid::cuda {

#ifdef AID_CUDA

namespace {

// A copy of more than this goes around the staging memory, which should not grow to a model's size.
constexpr size_t kMostStaged = size_t{1} << 20;
// Staging memory beyond which the host waits for the device after all: for loops that never ask for a result.
constexpr size_t kMostUnread = size_t{64} << 20;

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();  // the error is told once
  throw CudaError(std::string(call) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")");
}

constexpr size_t kMegabyte = size_t{1} << 20;

std::string megabytes(size_t bytes) { return std::to_string(bytes / kMegabyte) + " MiB"; }

}  // namespace

std::string unavailable() {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error != cudaSuccess) {
    (void)cudaGetLastError();
    int driver = 0;  // version; 0: there is none, which the error calls an old one
    const bool none = cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0;
    return std::string("no CUDA device: ") + (none ? "no NVIDIA driver is installed" : cudaGetErrorString(error));
  }
  if (devices == 0) return "no CUDA device: the driver lists none";
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "cudaDeviceGetAttribute");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0), "cudaDeviceGetAttribute");
  if (major >= 8) return "";
  return "the GPU has compute capability " + std::to_string(major) + "." + std::to_string(minor) +
         "; expected 8.0 (Ampere) or above";
}

std::string device_description() {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  return std::string(properties.name) + ", compute capability " + std::to_string(properties.major) + "." +
         std::to_string(properties.minor) + ", " + megabytes(properties.totalGlobalMem);
}

void* allocate(size_t bytes, CUstream_st* stream) {
  void* data = nullptr;
  const cudaError_t error = stream != nullptr ? cudaMallocAsync(&data, bytes, stream) : cudaMalloc(&data, bytes);
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    size_t free = 0, total = 0;
    const bool known = cudaMemGetInfo(&free, &total) == cudaSuccess;
    throw CudaError("out of GPU memory: " + megabytes(bytes + kMegabyte - 1) + " more were asked for" +
                    (known ? ", " + megabytes(free) + " of " + megabytes(total) + " are free" : "") +
                    "; lower --pass-tokens or --max-length, or end what else uses the GPU");
  }
  check(error, stream != nullptr ? "cudaMallocAsync" : "cudaMalloc");
  return data;
}

// Called by destructors, also while the process goes down: an error here has nobody to tell.
void release(void* data, CUstream_st* stream) noexcept {
  (void)(stream != nullptr ? cudaFreeAsync(data, stream) : cudaFree(data));
}

void clear(void* data, size_t bytes) {
  check(cudaMemset(data, 0, bytes), "cudaMemset");
  check(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
}

void copy(void* to, const void* from, size_t bytes) {
  check(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "cudaMemcpy");
  // Of pageable memory it returns when the data have been staged, and other streams do not wait for the rest.
  check(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
}

void* allocate_pinned(size_t bytes) {
  void* data = nullptr;
  check(cudaHostAlloc(&data, bytes, cudaHostAllocDefault), "cudaHostAlloc");
  return data;
}

void release_pinned(void* data) noexcept { (void)cudaFreeHost(data); }

Queue::Queue(bool graphs) {
  if (const std::string why = unavailable(); !why.empty()) throw CudaError(why + "; --device cpu works without one");
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  graphs_ = std::make_shared<Graphs>(stream_, graphs);
}

Queue::~Queue() {
  // The device may still read the staging memory, which is freed next.
  (void)cudaStreamSynchronize(stream_);
  graphs_.reset();
  matrix_library_.reset();
  kept_.clear();
  (void)cudaStreamDestroy(stream_);
}

Span Queue::stage(size_t bytes) {
  read_ = false;
  return staging_.take(DType::i8, static_cast<int64_t>(bytes));
}

void Queue::recycle() {
  if (given_back_ && read_) staging_.release();
}

const void* Queue::upload(void* to, const void* host, size_t bytes) {
  if (bytes > kMostStaged) {
    // Of pageable memory the call returns only when the driver has copied it.
    flush();
    check(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync to the device");
    return nullptr;
  }
  const Span staged = stage(bytes);
  given_back_ = false;
  std::memcpy(staged.data, host, bytes);
  graphs_->copy(to, staged.data, bytes);
  return staged.data;
}

void Queue::download(void* host, const void* from, size_t bytes) {
  if (bytes > kMostStaged) {
    flush();
    check(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync to the host");
    return;
  }
  const Span staged = stage(bytes);
  graphs_->copy(staged.data, from, bytes);
  downloads_.push_back({host, staged.data, bytes});
}

void Queue::synchronize() {
  const std::vector<Download> downloads = std::exchange(downloads_, {});
  flush();
  check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  for (const Download& download : downloads) std::memcpy(download.host, download.staged, download.bytes);
  read_ = true;
  recycle();
}

void Queue::release() {
  given_back_ = true;
  if (!read_ && staging_.mark().total > kMostUnread) {
    synchronize();
  } else {
    recycle();
  }
}

const void* Queue::keep(const char* name, const void* host, size_t bytes) {
  Kept& kept = kept_[name];
  const auto* data = static_cast<const std::byte*>(host);
  if (std::ranges::equal(kept.host, std::span(data, bytes))) return kept.memory.data();
  kept.host.clear();
  flush();
  if (bytes > kept.memory.bytes()) kept.memory = Buffer(bytes, Memory::device, stream_);
  const bool given_back = given_back_;
  upload(kept.memory.data(), host, bytes);
  given_back_ = given_back;  // nobody reads that copy
  kept.host.assign(data, data + bytes);
  return kept.memory.data();
}

void Queue::repeat(std::span<const int32_t> shape, const std::function<void()>& work) {
  const size_t downloads = downloads_.size();
  try {
    graphs_->repeat(shape, work);
  } catch (...) {
    downloads_.resize(downloads);  // what the others were to be copied to goes away with `work`
    throw;
  }
}

void Queue::flush() { graphs_->flush(); }

#else

namespace {

constexpr const char* kWithout = "this program was built without the CUDA toolkit";

[[noreturn]] void refuse() { throw CudaError(std::string(kWithout) + "; --device cpu works without one"); }

}  // namespace

std::string unavailable() { return kWithout; }
std::string device_description() { refuse(); }
void* allocate(size_t, CUstream_st*) { refuse(); }
void release(void*, CUstream_st*) noexcept {}
void clear(void*, size_t) { refuse(); }
void copy(void*, const void*, size_t) { refuse(); }
void* allocate_pinned(size_t) { refuse(); }
void release_pinned(void*) noexcept {}

Queue::Queue(bool) { refuse(); }
Queue::~Queue() = default;
const void* Queue::upload(void*, const void*, size_t) { refuse(); }
void Queue::download(void*, const void*, size_t) { refuse(); }
void Queue::synchronize() { refuse(); }
void Queue::release() { refuse(); }
void Queue::repeat(std::span<const int32_t>, const std::function<void()>&) { refuse(); }
void Queue::flush() { refuse(); }

#endif

}  // namespace aid::cuda
