#include "kernels/core/stream.h"

#include <sched.h>

#include <algorithm>
#include <cstring>

#include "kernels/device/runtime.h"

namespace aid {

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

Stream::Stream(const Options& options)
    : options_(options),
      team_(options.threads > 0 ? options.threads : available_cores()),
      queue_(options.target == Target::cuda ? std::make_unique<cuda::Queue>(options.graphs) : nullptr),
      arena_(memory_of(device_of(options.target)), queue_ ? queue_->stream() : nullptr) {
  AID_CHECK(options.threads >= 0, "threads: ", options.threads, "; expected 0 (all cores) or more");
  AID_CHECK(supported(options.target), "this processor cannot run target ", name_of(options.target));
}

Stream::~Stream() = default;

void Stream::release() {
  if (queue_ && !arena_.in_one_block()) queue_->flush();  // merging frees blocks
  arena_.release();
  if (queue_) queue_->release();
}

CSpan Stream::upload(CSpan host) {
  if (host.empty()) return host;
  const Span to = arena_.take(host.dtype, host.rows, host.cols);
  CSpan uploaded = to;
  AID_CHECK(host.host != nullptr && host.contiguous(), "upload: expected the host's memory, in one piece");
  if (queue_) {
    uploaded.host = queue_->upload(to.data, host.host, static_cast<size_t>(host.bytes()));
  } else {
    std::memcpy(to.data, host.host, static_cast<size_t>(host.bytes()));
  }
  return uploaded;
}

void Stream::upload(Span to, CSpan host) {
  AID_CHECK(host.host != nullptr && host.contiguous() && to.contiguous() && to.bytes() == host.bytes(),
            "upload: ", host.bytes(), " bytes into ", to.bytes(), "; expected the host's memory, both in one piece");
  if (queue_) {
    queue_->upload(to.data, host.host, static_cast<size_t>(host.bytes()));
  } else {
    std::memcpy(to.data, host.host, static_cast<size_t>(host.bytes()));
  }
}

void Stream::download(Span host, CSpan from) {
  AID_CHECK(host.device == Device::cpu && host.contiguous() && from.contiguous() && host.bytes() == from.bytes(),
            "download: ", from.bytes(), " bytes into ", host.bytes(),
            "; expected the host's memory, both in one piece");
  if (queue_) {
    queue_->download(host.data, from.data, static_cast<size_t>(from.bytes()));
  } else {
    std::memcpy(host.data, from.data, static_cast<size_t>(from.bytes()));
  }
}

void Stream::synchronize() {
  if (queue_) queue_->synchronize();
}

void Stream::repeat(std::span<const int32_t> shape, const std::function<void()>& work) {
  if (queue_ && profiler_ == nullptr) {
    queue_->repeat(shape, work);
  } else {
    work();
  }
}

}  // namespace aid
