#include "kernels/core/buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace aid {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kSmallestBlock = size_t{1} << 20;

constexpr size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

Buffer::Buffer(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const bool large = bytes >= kHugePage;
  void* data = nullptr;
  if (posix_memalign(&data, large ? kHugePage : kAlignment, bytes) != 0) throw std::bad_alloc();
  // Whole huge pages only: the rest of a last one would be memory that nobody uses. Advice: failing is no error.
  if (large) madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  data_.reset(data);
}

Buffer Buffer::zeroed(size_t bytes) {
  Buffer buffer(bytes);
  if (bytes > 0) std::memset(buffer.data(), 0, bytes);
  return buffer;
}

void Buffer::Free::operator()(void* data) const { std::free(data); }

Tensor::Tensor(DType dtype, int64_t rows, int64_t cols)
    : buffer_(static_cast<size_t>(rows * cols) * size_of(dtype)), span_{buffer_.data(), dtype, Device::cpu,
                                                                        rows,           cols,  cols} {}

Tensor Tensor::zeros(DType dtype, int64_t rows, int64_t cols) {
  Tensor tensor(dtype, rows, cols);
  if (!tensor.empty()) std::memset(tensor.span().data, 0, static_cast<size_t>(tensor.span().bytes()));
  return tensor;
}

Span Arena::take(DType dtype, int64_t rows, int64_t cols) {
  AID_CHECK(rows >= 0 && cols >= 0, "arena: ", rows, " x ", cols);
  const size_t bytes = round_up(std::max<size_t>(static_cast<size_t>(rows * cols) * size_of(dtype), 1), kAlignment);
  while (current_ < blocks_.size() && blocks_[current_].used + bytes > blocks_[current_].memory.bytes()) ++current_;
  if (current_ == blocks_.size()) {
    // Grows by half of what there is, so that the first step of a run needs few blocks.
    blocks_.push_back({.memory = Buffer(std::max({bytes, kSmallestBlock, total_ / 2}))});
  }
  Block& block = blocks_[current_];
  void* data = static_cast<std::byte*>(block.memory.data()) + block.used;
  block.used += bytes;
  total_ += bytes;
  high_water_ = std::max(high_water_, total_);
  return {data, dtype, Device::cpu, rows, cols, cols};
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
    blocks_.push_back({.memory = Buffer(bytes)});
  }
  rewind({0, 0, 0});
}

}  // namespace aid
