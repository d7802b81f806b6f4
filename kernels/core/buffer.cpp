#include "kernels/core/buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels/device/runtime.h"

namespace aid {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kDeviceAlignment = 256;  // whole sectors and lines, for every row of whole vectors
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kSmallestBlock = size_t{1} << 20;

constexpr size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

void* allocate_host(size_t bytes) {
  const bool large = bytes >= kHugePage;
  void* data = nullptr;
  if (posix_memalign(&data, large ? kHugePage : kAlignment, bytes) != 0) throw std::bad_alloc();
  // Whole huge pages only: the rest of a last one would be memory that nobody uses. Advice: failing is no error.
  if (large) madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return data;
}

void* allocate(size_t bytes, Memory memory, CUstream_st* stream) {
  switch (memory) {
    case Memory::device:
      return cuda::allocate(bytes, stream);
    case Memory::pinned:
      return cuda::allocate_pinned(bytes);
    case Memory::host:
      break;
  }
  return allocate_host(bytes);
}

}  // namespace

Buffer::Buffer(size_t bytes, Memory memory, CUstream_st* stream)
    : data_(bytes == 0 ? nullptr : allocate(bytes, memory, stream), {memory, stream}), bytes_(bytes) {}

Buffer Buffer::zeroed(size_t bytes, Memory memory) {
  Buffer buffer(bytes, memory);
  if (bytes == 0) return buffer;
  if (memory == Memory::device) {
    cuda::clear(buffer.data(), bytes);
  } else {
    std::memset(buffer.data(), 0, bytes);
  }
  return buffer;
}

void Buffer::Free::operator()(void* data) const {
  switch (memory) {
    case Memory::device:
      return cuda::release(data, stream);
    case Memory::pinned:
      return cuda::release_pinned(data);
    case Memory::host:
      break;
  }
  std::free(data);
}

Tensor::Tensor(DType dtype, int64_t rows, int64_t cols, Device device)
    : buffer_(static_cast<size_t>(rows * cols) * size_of(dtype), memory_of(device)), span_{buffer_.data(), dtype,
                                                                                           device,         rows,
                                                                                           cols,           cols} {}

Tensor Tensor::zeros(DType dtype, int64_t rows, int64_t cols, Device device) {
  Tensor tensor;
  tensor.buffer_ = Buffer::zeroed(static_cast<size_t>(rows * cols) * size_of(dtype), memory_of(device));
  tensor.span_ = {tensor.buffer_.data(), dtype, device, rows, cols, cols};
  return tensor;
}

Span Arena::take(DType dtype, int64_t rows, int64_t cols) {
  AID_CHECK(rows >= 0 && cols >= 0, "arena: ", rows, " x ", cols);
  const size_t bytes = round_up(std::max<size_t>(static_cast<size_t>(rows * cols) * size_of(dtype), 1),
                                memory_ == Memory::device ? kDeviceAlignment : kAlignment);
  while (current_ < blocks_.size() && blocks_[current_].used + bytes > blocks_[current_].memory.bytes()) ++current_;
  if (current_ == blocks_.size()) {
    // Grows by half of what there is, so that the first step of a run needs few blocks.
    blocks_.push_back({.memory = Buffer(std::max({bytes, kSmallestBlock, total_ / 2}), memory_, stream_)});
  }
  Block& block = blocks_[current_];
  void* data = static_cast<std::byte*>(block.memory.data()) + block.used;
  block.used += bytes;
  total_ += bytes;
  high_water_ = std::max(high_water_, total_);
  return {data, dtype, device_of(memory_), rows, cols, cols};
}

Arena::Mark Arena::mark() const { return {current_, current_ < blocks_.size() ? blocks_[current_].used : 0, total_}; }

void Arena::rewind(const Mark& mark) {
  for (size_t i = mark.block; i < blocks_.size(); ++i) blocks_[i].used = i == mark.block ? mark.used : 0;
  current_ = mark.block;
  total_ = mark.total;
}

void Arena::release() {
  if (blocks_.size() > 1) {
    size_t bytes = 0;
    for (const Block& block : blocks_) bytes += block.memory.bytes();
    blocks_.clear();
    blocks_.push_back({.memory = Buffer(bytes, memory_, stream_)});
  }
  rewind({0, 0, 0});
}

}  // namespace aid
