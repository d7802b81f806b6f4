// Device memory, pinned memory, copies and fills. When a copy reads host memory and when the host waits for it follows
// the table "API synchronization behavior" of the CUDA runtime's documentation.
#include "tests/softgpu/memory.h"

#include <cstdlib>
#include <cstring>

#include "tests/softgpu/runtime/core.h"

namespace softgpu::runtime {
namespace {

constexpr size_t kPitch = 512;

cudaError_t allocate_block(void** out, size_t bytes, const char* what) {
  if (!out) return cudaErrorInvalidValue;
  *out = bytes ? softgpu::allocate(bytes, what) : nullptr;
  return bytes && !*out ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t host_allocate(void** out, size_t bytes, unsigned flags) {
  *out = nullptr;
  if (bytes == 0) return cudaSuccess;
  void* p = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (!p) return cudaErrorMemoryAllocation;
  std::memset(p, 0xFF, bytes);  // NaN to every float type: pinned memory is not zero on a real machine either
  state().pinned[static_cast<char*>(p)] = {bytes, flags, false};
  *out = p;
  return cudaSuccess;
}

enum class Place { device, pinned, pageable };

struct Rectangle {
  void* dst;
  size_t dst_pitch;
  const void* src;
  size_t src_pitch;
  size_t width, height;
  size_t dst_span() const { return (height - 1) * dst_pitch + width; }
  size_t src_span() const { return (height - 1) * src_pitch + width; }
};

Place place_of(const void* p, size_t bytes) {
  if (softgpu::is_device_address(p)) return Place::device;
  return state().pinned_base(p, bytes) ? Place::pinned : Place::pageable;
}

// The device memory that a copy touches is checked at the call, as the driver does, and again when it runs.
bool in_device(const char* call, const void* p, size_t bytes) {
  return softgpu::check_host_access(p, bytes, HostAccess::write, call);
}

void move(const char* call, const Rectangle& r, Place dst, Place src) {
  if ((src == Place::device && !in_device(call, r.src, r.src_span())) ||
      (dst == Place::device && !in_device(call, r.dst, r.dst_span()))) {
    return state().fail(cudaErrorIllegalAddress);
  }
  bool written = true;
  for (size_t row = 0; row < r.height; ++row) {
    char* to = static_cast<char*>(r.dst) + row * r.dst_pitch;
    const char* from = static_cast<const char*>(r.src) + row * r.src_pitch;
    std::memmove(to, from, r.width);
    if (dst == Place::device) {
      src == Place::device ? softgpu::copy_written(to, from, r.width) : softgpu::mark_written(to, r.width);
    } else if (src == Place::device && written) {  // one report for a copy
      written = softgpu::check_host_access(from, r.width, HostAccess::read, call);
    }
  }
}

// Checks a copy as its call does, and makes its work.
cudaError_t copy_work(const char* call, const Rectangle& r, cudaMemcpyKind kind, Work& work) {
  Runtime& rt = state();
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
  if (r.height > 1 && (r.width > r.dst_pitch || r.width > r.src_pitch)) return cudaErrorInvalidPitchValue;
  if (!r.dst || !r.src) return cudaErrorInvalidValue;
  const Place dst = place_of(r.dst, r.dst_span()), src = place_of(r.src, r.src_span());
  const bool to_device = dst == Place::device, from_device = src == Place::device;
  const bool said_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool said_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDefault && (said_to != to_device || said_from != from_device)) {
    rt.report(Kind::host_pointer, std::string(call) + ": the kind of copy says " + (said_from ? "device" : "host") +
                                      " to " + (said_to ? "device" : "host") + ", the pointers are " +
                                      (from_device ? "device" : "host") + " to " + (to_device ? "device" : "host"));
    return cudaErrorInvalidValue;
  }
  if (from_device && !in_device(call, r.src, r.src_span())) return cudaErrorInvalidValue;
  if (to_device && !in_device(call, r.dst, r.dst_span())) return cudaErrorInvalidValue;
  work.kind = Work::Kind::copy;
  work.what = std::string(call) + " of " + std::to_string(r.width * r.height) + " bytes";
  work.run = [call, r, dst, src] { move(call, r, dst, src); };
  if (dst == Place::pinned) work.pinned.push_back({static_cast<const char*>(r.dst), r.dst_span()});
  if (src == Place::pinned) work.pinned.push_back({static_cast<const char*>(r.src), r.src_span()});
  return cudaSuccess;
}

cudaError_t copy(const char* call, Rectangle r, cudaMemcpyKind kind, CUstream_st* stream, bool async) {
  Runtime& rt = state();
  if (!stream) return cudaErrorInvalidResourceHandle;
  if (r.width == 0 || r.height == 0) return cudaSuccess;
  Work work;
  if (cudaError_t error = copy_work(call, r, kind, work); error != cudaSuccess) return error;
  const Place dst = place_of(r.dst, r.dst_span()), src = place_of(r.src, r.src_span());
  const bool capturing = stream->capture != nullptr;
  if (src == Place::pageable && dst == Place::device && !capturing) {
    // Staged at the call; only the way from the staging buffer to the device is asynchronous.
    if (!async) rt.waits.push_back(call);
    if (!async) rt.wait(*stream);
    auto staged = std::make_shared<std::vector<char>>(r.width * r.height);
    for (size_t row = 0; row < r.height; ++row) {
      std::memcpy(staged->data() + row * r.width, static_cast<const char*>(r.src) + row * r.src_pitch, r.width);
    }
    Rectangle later{r.dst, r.dst_pitch, nullptr, r.width, r.width, r.height};
    work.run = [call, later, staged]() mutable {
      later.src = staged->data();
      move(call, later, Place::device, Place::pageable);
    };
    return rt.enqueue(*stream, std::move(work));
  }
  if (cudaError_t error = rt.enqueue(*stream, std::move(work)); error != cudaSuccess || capturing) return error;
  const bool within_device = dst == Place::device && src == Place::device;
  if ((!async && !within_device) || dst == Place::pageable) {
    rt.waits.push_back(call);
    rt.wait(*stream);
  }
  return cudaSuccess;
}

cudaError_t fill(const char* call, void* p, size_t pitch, int value, size_t width, size_t height, CUstream_st* stream,
                 bool async) {
  Runtime& rt = state();
  if (!stream) return cudaErrorInvalidResourceHandle;
  if (width == 0 || height == 0) return cudaSuccess;
  if (height > 1 && width > pitch) return cudaErrorInvalidPitchValue;
  const size_t span = (height - 1) * pitch + width;
  const Place place = p ? place_of(p, span) : Place::pageable;
  if (place == Place::pageable) {
    rt.report(Kind::host_pointer, std::string(call) + " on memory that is neither the device's nor pinned");
    return cudaErrorInvalidValue;
  }
  if (place == Place::device && !in_device(call, p, span)) return cudaErrorInvalidValue;
  Work work{.kind = Work::Kind::set,
            .what = std::string(call) + " of " + std::to_string(width * height) + " bytes",
            .run = {}};
  if (place == Place::pinned) work.pinned.push_back({static_cast<const char*>(p), span});
  work.run = [=] {
    if (place == Place::device && !in_device(call, p, span)) return state().fail(cudaErrorIllegalAddress);
    for (size_t row = 0; row < height; ++row) {
      char* to = static_cast<char*>(p) + row * pitch;
      std::memset(to, value, width);
      if (place == Place::device) softgpu::mark_written(to, width);
    }
  };
  cudaError_t error = rt.enqueue(*stream, std::move(work));
  if (error == cudaSuccess && !async && place == Place::pinned) {
    rt.waits.push_back(call);
    rt.wait(*stream);
  }
  return error;
}

cudaError_t allocate_async(void** out, size_t bytes, cudaStream_t handle) {
  Runtime& r = state();
  CUstream_st* s = r.stream(handle);
  if (!s) return cudaErrorInvalidResourceHandle;
  if (s->capture) return cudaErrorStreamCaptureUnsupported;  // memory nodes of graphs are not modelled
  if (cudaError_t error = allocate_block(out, bytes, "cudaMallocAsync"); error != cudaSuccess || !*out) return error;
  // The block exists from here on in the stream's order: what another stream wrote to it before is lost.
  return r.enqueue(*s, {.kind = Work::Kind::memory, .what = "cudaMallocAsync", .run = [p = *out, bytes] {
                          softgpu::mark_unwritten(p, bytes);
                          std::memset(p, 0xFF, bytes);
                        }});
}

}  // namespace

cudaError_t copy_work(const char* call, void* dst, const void* src, size_t bytes, cudaMemcpyKind kind, Work& work) {
  return copy_work(call, {dst, bytes, src, bytes, bytes, 1}, kind, work);
}

}  // namespace softgpu::runtime

using namespace softgpu::runtime;
using softgpu::Kind;

extern "C" {

cudaError_t cudaMalloc(void** out, size_t bytes) {
  return call("cudaMalloc", {.refused_in_capture = true}, [&] { return allocate_block(out, bytes, "cudaMalloc"); });
}

cudaError_t cudaMallocPitch(void** out, size_t* pitch, size_t width, size_t height) {
  return call("cudaMallocPitch", {.refused_in_capture = true}, [&] {
    if (!out || !pitch) return cudaErrorInvalidValue;
    *pitch = (width + kPitch - 1) / kPitch * kPitch;
    return allocate_block(out, *pitch * height, "cudaMallocPitch");
  });
}

cudaError_t cudaFree(void* p) {
  return call("cudaFree", {.waits = p != nullptr, .refused_in_capture = true}, [&] {
    if (!p) return cudaSuccess;
    state().wait_all();  // the driver waits for the device before it unmaps memory
    return softgpu::free(p) ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaMallocAsync(void** out, size_t bytes, cudaStream_t stream) {
  return call("cudaMallocAsync", [&] { return allocate_async(out, bytes, stream); });
}

cudaError_t cudaMallocFromPoolAsync(void** out, size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  return call("cudaMallocFromPoolAsync", [&] {
    if (pool != &state().default_pool && !state().pools.contains(pool)) return cudaErrorInvalidValue;
    return allocate_async(out, bytes, stream);
  });
}

cudaError_t cudaFreeAsync(void* p, cudaStream_t handle) {
  return call("cudaFreeAsync", [&] {
    Runtime& r = state();
    CUstream_st* s = r.stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (!p) return cudaSuccess;
    if (s->capture) return cudaErrorStreamCaptureUnsupported;
    if (!softgpu::is_device_address(p)) return softgpu::free(p), cudaErrorInvalidValue;  // free() reports it
    return r.enqueue(*s, {.kind = Work::Kind::memory, .what = "cudaFreeAsync", .run = [p] {
                            if (!softgpu::free(p)) state().fail(cudaErrorInvalidValue);
                          }});
  });
}

cudaError_t cudaMallocHost(void** out, size_t bytes) {
  return call("cudaMallocHost", {.refused_in_capture = true},
              [&] { return out ? host_allocate(out, bytes, cudaHostAllocDefault) : cudaErrorInvalidValue; });
}

cudaError_t cudaHostAlloc(void** out, size_t bytes, unsigned flags) {
  return call("cudaHostAlloc", {.refused_in_capture = true},
              [&] { return out && flags <= 7 ? host_allocate(out, bytes, flags) : cudaErrorInvalidValue; });
}

cudaError_t cudaFreeHost(void* p) {
  return call("cudaFreeHost", {.refused_in_capture = true}, [&] {
    if (!p) return cudaSuccess;
    const auto found = state().pinned.find(static_cast<char*>(p));
    if (found == state().pinned.end() || found->second.registered) {
      state().report(
          Kind::runtime,
          "cudaFreeHost: this pointer did not come from cudaMallocHost or cudaHostAlloc, or was freed before");
      return cudaErrorInvalidValue;
    }
    state().finish_pinned(p, found->second.size, "cudaFreeHost");
    state().pinned.erase(found);
    std::free(p);
    return cudaSuccess;
  });
}

cudaError_t cudaHostRegister(void* p, size_t bytes, unsigned flags) {
  return call("cudaHostRegister", {.refused_in_capture = true}, [&] {
    if (!p || bytes == 0) return cudaErrorInvalidValue;
    if (state().pinned_base(p, 1)) return cudaErrorHostMemoryAlreadyRegistered;
    state().pinned[static_cast<char*>(p)] = {bytes, flags, true};
    return cudaSuccess;
  });
}

cudaError_t cudaHostUnregister(void* p) {
  return call("cudaHostUnregister", {.refused_in_capture = true}, [&] {
    const auto found = state().pinned.find(static_cast<char*>(p));
    if (found == state().pinned.end() || !found->second.registered) return cudaErrorHostMemoryNotRegistered;
    state().finish_pinned(p, found->second.size, "cudaHostUnregister");
    state().pinned.erase(found);
    return cudaSuccess;
  });
}

cudaError_t cudaHostGetFlags(unsigned* flags, void* p) {
  return call("cudaHostGetFlags", [&] {
    const char* base = state().pinned_base(p, 1);
    if (!flags || !base) return cudaErrorInvalidValue;
    *flags = state().pinned[base].flags;
    return cudaSuccess;
  });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return call("cudaMemGetInfo", [&] {
    if (!free || !total) return cudaErrorInvalidValue;
    const softgpu::MemoryUse use = softgpu::memory_use();
    *total = use.limit;
    *free = use.limit - use.live;
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* out, const void* p) {
  return call("cudaPointerGetAttributes", [&] {
    if (!out) return cudaErrorInvalidValue;
    *out = {};
    const softgpu::Allocation* a = softgpu::find(p);
    if (a && !a->freed) {
      out->type = cudaMemoryTypeDevice;
      out->devicePointer = const_cast<void*>(p);
    } else if (state().pinned_base(p, 1)) {
      out->type = cudaMemoryTypeHost;
      out->hostPointer = out->devicePointer = const_cast<void*>(p);
    } else {
      out->type = cudaMemoryTypeUnregistered;
      out->device = -1;
      out->hostPointer = const_cast<void*>(p);
    }
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpy(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind) {
  return call("cudaMemcpy", {.refused_in_capture = true}, [&] {
    return copy("cudaMemcpy", {dst, bytes, src, bytes, bytes, 1}, kind, &state().legacy, false);
  });
}

cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return call("cudaMemcpyAsync", [&] {
    return copy("cudaMemcpyAsync", {dst, bytes, src, bytes, bytes, 1}, kind, state().stream(stream), true);
  });
}

cudaError_t cudaMemcpy2D(void* dst, size_t dst_pitch, const void* src, size_t src_pitch, size_t width, size_t height,
                         cudaMemcpyKind kind) {
  return call("cudaMemcpy2D", {.refused_in_capture = true}, [&] {
    return copy("cudaMemcpy2D", {dst, dst_pitch, src, src_pitch, width, height}, kind, &state().legacy, false);
  });
}

cudaError_t cudaMemcpy2DAsync(void* dst, size_t dst_pitch, const void* src, size_t src_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return call("cudaMemcpy2DAsync", [&] {
    return copy("cudaMemcpy2DAsync", {dst, dst_pitch, src, src_pitch, width, height}, kind, state().stream(stream),
                true);
  });
}

cudaError_t cudaMemset(void* p, int value, size_t bytes) {
  return call("cudaMemset", {.refused_in_capture = true},
              [&] { return fill("cudaMemset", p, bytes, value, bytes, 1, &state().legacy, false); });
}

cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  return call("cudaMemsetAsync",
              [&] { return fill("cudaMemsetAsync", p, bytes, value, bytes, 1, state().stream(stream), true); });
}

cudaError_t cudaMemset2D(void* p, size_t pitch, int value, size_t width, size_t height) {
  return call("cudaMemset2D", {.refused_in_capture = true},
              [&] { return fill("cudaMemset2D", p, pitch, value, width, height, &state().legacy, false); });
}

cudaError_t cudaMemset2DAsync(void* p, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream) {
  return call("cudaMemset2DAsync",
              [&] { return fill("cudaMemset2DAsync", p, pitch, value, width, height, state().stream(stream), true); });
}

// One device: there is no peer.
cudaError_t cudaMemcpyPeer(void*, int, const void*, int, size_t) {
  return call("cudaMemcpyPeer", [] { return cudaErrorInvalidDevice; });
}
cudaError_t cudaMemcpyPeerAsync(void*, int, const void*, int, size_t, cudaStream_t) {
  return call("cudaMemcpyPeerAsync", [] { return cudaErrorInvalidDevice; });
}
cudaError_t cudaMallocManaged(void**, size_t, unsigned) {
  return call("cudaMallocManaged", [] { return cudaErrorNotSupported; });
}
}
