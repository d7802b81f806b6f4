// What the engine asks of the CUDA runtime on the host's side: memory, a queue of work, copies. Needs no CUDA header; a
// program that is built without the toolkit has these functions too, and they say so (unavailable()) or throw.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/core/buffer.h"

struct CUstream_st;  // cudaStream_t is a pointer to it
struct CUevent_st;

namespace aid {

// A CUDA call failed. The message names the call or kernel, what CUDA said and what to do.
class CudaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace cuda {

// Why no CUDA device can be used, in one line; empty when one can.
std::string unavailable();

// Device memory. With a stream, the allocation is ordered in it. Throws CudaError that says how much was asked for and
// how much there is.
void* allocate(size_t bytes, CUstream_st* stream);
void release(void* data, CUstream_st* stream) noexcept;
void clear(void* data, size_t bytes);  // all bits zero, done when it returns
// Memory of the host that the device copies from and to without the driver's own staging.
void* allocate_pinned(size_t bytes);
void release_pinned(void* data) noexcept;

// A CUDA stream with the pinned memory that its copies go through.
class Queue {
 public:
  Queue();
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  CUstream_st* stream() const { return stream_; }

  // Queues a copy to the device. Returns the host's copy of the data, which stays until the release() after next; null
  // for large data (more than 1 MiB), of which there is none.
  const void* upload(void* to, const void* host, size_t bytes);
  // Queues a copy to the host, which has it after synchronize().
  void download(void* host, const void* from, size_t bytes);
  void synchronize();
  // The arena's memory is given back: what was uploaded for it may be overwritten once the device has read it.
  void release();

  // State of a library that belongs to this stream, made by its first use (kernels/matrix/linear_lib.cpp).
  std::shared_ptr<void>& matrix_library() { return matrix_library_; }

 private:
  // Two that take turns: one is filled for the next batch while the device still reads the other.
  struct Staging {
    Arena memory{Memory::pinned};
    CUevent_st* read = nullptr;  // the device has passed the copies that were made from it
  };
  struct Download {
    void* host;
    const void* staged;
    size_t bytes;
  };

  CUstream_st* stream_ = nullptr;
  Staging staging_[2];
  int current_ = 0;
  std::vector<Download> downloads_;
  std::shared_ptr<void> matrix_library_;
};

}  // namespace cuda
}  // namespace aid
