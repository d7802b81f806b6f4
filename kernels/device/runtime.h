// What the engine asks of the CUDA runtime on the host's side: memory, a queue of work, copies. Needs no CUDA header; a
// program that is built without the toolkit has these functions too, and they say so (unavailable()) or throw.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/core/buffer.h"

struct CUstream_st;  // cudaStream_t is a pointer to it

namespace aid {

// A CUDA call failed. The message names the call or kernel, what CUDA said and what to do.
class CudaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace cuda {

// Why no CUDA device can be used, in one line; empty when one can.
std::string unavailable();

// The device that is used: "NVIDIA A100-SXM4-80GB, compute capability 8.0, 81154 MiB".
std::string device_description();

// Device memory. With a stream, the allocation is ordered in it. Throws CudaError that says how much was asked for and
// how much there is.
void* allocate(size_t bytes, CUstream_st* stream);
void release(void* data, CUstream_st* stream) noexcept;
void clear(void* data, size_t bytes);  // all bits zero, done when it returns
// Between the device's and the host's memory, done when it returns; streams are not waited for.
void copy(void* to, const void* from, size_t bytes);
// Memory of the host that the device copies from and to without the driver's own staging.
void* allocate_pinned(size_t bytes);
void release_pinned(void* data) noexcept;

class Graphs;

// A CUDA stream with the pinned memory that its copies go through.
class Queue {
 public:
  // graphs: repeat() makes CUDA graphs of what comes again.
  explicit Queue(bool graphs);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  CUstream_st* stream() const { return stream_; }
  // What kernels and libraries' calls are queued through (kernels/device/graphs.h).
  Graphs& graphs() { return *graphs_; }

  // Queues a copy to the device. Returns the host's copy of the data, which stays until release(); null for large data
  // (more than 1 MiB), of which there is none.
  const void* upload(void* to, const void* host, size_t bytes);
  // Queues a copy to the host, which has it after synchronize().
  void download(void* host, const void* from, size_t bytes);
  void synchronize();
  // The batch is over: what upload() returned may be overwritten once the device has read it.
  void release();

  // The data on the device, for as long as they do not change: they are copied when they are others than at the last
  // call with this name.
  const void* keep(const char* name, const void* host, size_t bytes);

  // Stream::repeat.
  void repeat(std::span<const int32_t> shape, const std::function<void()>& work);
  // Queues what repeat() has held back so far; the rest of its work is queued at once. Before memory is freed that the
  // device still works on.
  void flush();

  // State of a library that belongs to this stream, made by its first use (kernels/matrix/linear_lib.cpp).
  std::shared_ptr<void>& matrix_library() { return matrix_library_; }

 private:
  struct Download {
    void* host;
    const void* staged;
    size_t bytes;
  };
  struct Kept {
    std::vector<std::byte> host;
    Buffer memory;
  };

  Span stage(size_t bytes);
  void recycle();

  CUstream_st* stream_ = nullptr;
  std::shared_ptr<Graphs> graphs_;  // shared: a program without CUDA does not know how it ends
  // It grows until the batches that used it are over and the device has read it, in whichever order that happens: a
  // wait that comes for another reason is enough, and nobody waits for the staging memory itself.
  Arena staging_{Memory::pinned};
  bool given_back_ = true, read_ = true;  // all of it
  std::vector<Download> downloads_;
  std::map<std::string, Kept> kept_;
  std::shared_ptr<void> matrix_library_;
};

}  // namespace cuda
}  // namespace aid
