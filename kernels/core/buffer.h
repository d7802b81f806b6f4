// Buffer: owns memory, move-only, 64-byte aligned, uninitialised unless said. Arena: hands out a step's activations
// from one growing block and takes them all back at once. Memory of a GPU is the host's to hold, not to read or write.
#pragma once

#include <memory>
#include <vector>

#include "kernels/core/span.h"

struct CUstream_st;

namespace aid {

enum class Memory : uint8_t {
  host,
  pinned,  // the host's, where a GPU can copy from and to directly
  device,  // a GPU's
};
constexpr Memory memory_of(Device device) { return device == Device::cuda ? Memory::device : Memory::host; }
constexpr Device device_of(Memory memory) { return memory == Memory::device ? Device::cuda : Device::cpu; }

class Buffer {
 public:
  Buffer() = default;
  // Large blocks are aligned to 2 MiB and offered to the kernel as huge pages: fewer TLB misses in the streaming
  // passes. With a stream, device memory is allocated and freed in that stream's order.
  explicit Buffer(size_t bytes, Memory memory = Memory::host, CUstream_st* stream = nullptr);
  static Buffer zeroed(size_t bytes, Memory memory = Memory::host);

  void* data() const { return data_.get(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Free {
    Memory memory;
    CUstream_st* stream;
    void operator()(void* data) const;
  };
  std::unique_ptr<void, Free> data_;
  size_t bytes_ = 0;
};

// A matrix that owns its memory.
class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, int64_t rows, int64_t cols, Device device = Device::cpu);
  static Tensor zeros(DType dtype, int64_t rows, int64_t cols, Device device = Device::cpu);

  Span span() const { return span_; }
  operator Span() const { return span_; }
  operator CSpan() const { return span_; }
  bool empty() const { return span_.empty(); }

 private:
  Buffer buffer_;
  Span span_;
};

// Between any two memories of the same size, each in one piece; done when it returns. What is queued on a stream is not
// waited for: synchronize() it first.
void copy(Span to, CSpan from);

// Not thread-safe: one arena belongs to one stream.
class Arena {
 public:
  explicit Arena(Memory memory = Memory::host, CUstream_st* stream = nullptr) : memory_(memory), stream_(stream) {}

  // Uninitialised memory that lives until release() or until the mark it was taken after is rewound.
  Span take(DType dtype, int64_t rows, int64_t cols);
  Span take(DType dtype, int64_t n) { return take(dtype, 1, n); }

  // Scratch memory in stack order: `auto mark = arena.mark(); ... arena.rewind(mark);`
  struct Mark {
    size_t block, used, total;
  };
  Mark mark() const;
  void rewind(const Mark& mark);
  // Forgets everything; several blocks are merged into one of their total size, so that a steady state has one block.
  void release();
  bool in_one_block() const { return blocks_.size() <= 1; }

  size_t high_water_bytes() const { return high_water_; }

 private:
  struct Block {
    Buffer memory;
    size_t used = 0;
  };
  Memory memory_;
  CUstream_st* stream_;
  std::vector<Block> blocks_;
  size_t current_ = 0;
  size_t total_ = 0;
  size_t high_water_ = 0;
};

}  // namespace aid
