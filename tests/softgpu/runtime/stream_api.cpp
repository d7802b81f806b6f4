// Streams, events and host functions.
#include <chrono>

#include "tests/softgpu/runtime/core.h"

using namespace softgpu::runtime;

namespace {

constexpr int kLowestPriority = 0, kHighestPriority = -5;

cudaError_t create_stream(cudaStream_t* out, unsigned flags, int priority) {
  if (!out || (flags != cudaStreamDefault && flags != cudaStreamNonBlocking)) return cudaErrorInvalidValue;
  auto* s = new CUstream_st;
  s->flags = flags;
  s->priority = std::clamp(priority, kHighestPriority, kLowestPriority);
  s->id = state().next_id++;
  state().streams.insert(s);
  *out = s;
  return cudaSuccess;
}

double now_ms() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

cudaError_t record(cudaEvent_t event, cudaStream_t handle) {
  Runtime& r = state();
  CUstream_st* s = r.stream(handle);
  if (!r.events.contains(event) || !s) return cudaErrorInvalidResourceHandle;
  if (s->capture) {
    if (s->capture->broken != cudaSuccess) return cudaErrorStreamCaptureInvalidated;
    event->capture = s->capture;
    event->capture_tail = s->capture_tail;
    return cudaSuccess;
  }
  event->capture = nullptr;
  event->milliseconds = std::make_shared<double>(0);
  Work work{
      .kind = Work::Kind::event, .what = "cudaEventRecord", .run = [at = event->milliseconds] { *at = now_ms(); }};
  if (cudaError_t error = r.enqueue(*s, std::move(work)); error != cudaSuccess) return error;
  event->record = r.newest;
  return cudaSuccess;
}

// Waiting for a stream that captures is an error that also ends its capture.
cudaError_t refuse_capture(CUstream_st* s) {
  if (!s) return cudaErrorInvalidResourceHandle;
  if (!s->capture) return cudaSuccess;
  s->capture->broken = cudaErrorStreamCaptureInvalidated;
  return cudaErrorStreamCaptureUnsupported;
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* out) {
  return call("cudaStreamCreate", [&] { return create_stream(out, cudaStreamDefault, 0); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
  return call("cudaStreamCreateWithFlags", [&] { return create_stream(out, flags, 0); });
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* out, unsigned flags, int priority) {
  return call("cudaStreamCreateWithPriority", [&] { return create_stream(out, flags, priority); });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return call("cudaDeviceGetStreamPriorityRange", [&] {
    if (least) *least = kLowestPriority;
    if (greatest) *greatest = kHighestPriority;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetPriority(cudaStream_t handle, int* priority) {
  return call("cudaStreamGetPriority", [&] {
    CUstream_st* s = state().stream(handle);
    if (!s || !priority) return s ? cudaErrorInvalidValue : cudaErrorInvalidResourceHandle;
    *priority = s->priority;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned* flags) {
  return call("cudaStreamGetFlags", [&] {
    CUstream_st* s = state().stream(handle);
    if (!s || !flags) return s ? cudaErrorInvalidValue : cudaErrorInvalidResourceHandle;
    *flags = s->flags;
    return cudaSuccess;
  });
}

// Returns at once: what the stream holds still runs.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return call("cudaStreamDestroy", [&] {
    Runtime& r = state();
    CUstream_st* s = r.stream(handle);
    if (!s || s == &r.legacy) return cudaErrorInvalidResourceHandle;
    if (s->capture) s->capture->broken = cudaErrorStreamCaptureInvalidated;
    s->destroyed = true;
    if (s->queue.empty()) {
      r.streams.erase(s);
      delete s;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return call("cudaStreamSynchronize", {.waits = true}, [&] {
    CUstream_st* s = state().stream(handle);
    if (cudaError_t error = refuse_capture(s); error != cudaSuccess) return error;
    state().wait(*s);
    return cudaSuccess;
  });
}

// A query lets the device take one step, so that a loop of queries ends.
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return call("cudaStreamQuery", [&] {
    CUstream_st* s = state().stream(handle);
    if (cudaError_t error = refuse_capture(s); error != cudaSuccess) return error;
    state().step(*s);
    return s->queue.empty() ? cudaSuccess : cudaErrorNotReady;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned flags) {
  return call("cudaStreamWaitEvent", [&] {
    Runtime& r = state();
    CUstream_st* s = r.stream(handle);
    if (!s || !r.events.contains(event)) return cudaErrorInvalidResourceHandle;
    if (flags != 0) return cudaErrorInvalidValue;
    if (event->capture) {
      if (s->capture && s->capture != event->capture) return cudaErrorStreamCaptureMerge;
      if (!s->capture) {  // the stream joins the capture
        s->capture = event->capture;
        s->capture->streams.insert(s);
        s->capture_tail.clear();
      }
      s->capture_tail.insert(s->capture_tail.end(), event->capture_tail.begin(), event->capture_tail.end());
      return cudaSuccess;
    }
    if (s->capture) {
      s->capture->broken = cudaErrorStreamCaptureInvalidated;
      return cudaErrorStreamCaptureIsolation;
    }
    if (!event->record || event->record->done) return cudaSuccess;
    return r.enqueue(*s,
                     {.kind = Work::Kind::wait, .what = "cudaStreamWaitEvent", .run = [] {}, .after = {event->record}});
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* user_data) {
  return call("cudaLaunchHostFunc", [&] {
    CUstream_st* s = state().stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (!function) return cudaErrorInvalidValue;
    return state().enqueue(*s, {.kind = Work::Kind::host, .what = "a host function", .run = [=] {
                                  ++in_callback;
                                  function(user_data);
                                  --in_callback;
                                }});
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned flags) {
  return call("cudaEventCreateWithFlags", [&] {
    constexpr unsigned kKnown = cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess;
    if (!out || flags & ~kKnown || (flags & cudaEventInterprocess && !(flags & cudaEventDisableTiming)))
      return cudaErrorInvalidValue;
    auto* event = new CUevent_st;
    event->flags = flags;
    state().events.insert(event);
    *out = event;
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* out) { return cudaEventCreateWithFlags(out, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call("cudaEventDestroy", [&] {
    if (!state().events.erase(event)) return cudaErrorInvalidResourceHandle;
    delete event;
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return call("cudaEventRecord", [&] { return record(event, stream); });
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  return call("cudaEventRecordWithFlags",
              [&] { return flags == cudaEventRecordDefault ? record(event, stream) : cudaErrorNotSupported; });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call("cudaEventQuery", [&] {
    if (!state().events.contains(event)) return cudaErrorInvalidResourceHandle;
    if (event->capture) return cudaErrorCapturedEvent;
    if (!event->record || event->record->done) return cudaSuccess;
    state().step(*event->record->stream);
    return event->record->done ? cudaSuccess : cudaErrorNotReady;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call("cudaEventSynchronize", {.waits = true}, [&] {
    if (!state().events.contains(event)) return cudaErrorInvalidResourceHandle;
    if (event->capture) return cudaErrorCapturedEvent;
    if (event->record) state().wait(WorkPtr(event->record));
    return cudaSuccess;
  });
}

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  return call("cudaEventElapsedTime", [&] {
    Runtime& r = state();
    if (!ms) return cudaErrorInvalidValue;
    for (CUevent_st* event : {start, end}) {
      if (!r.events.contains(event) || event->flags & cudaEventDisableTiming || !event->record)
        return cudaErrorInvalidResourceHandle;
    }
    if (!start->record->done || !end->record->done) return cudaErrorNotReady;
    *ms = static_cast<float>(*end->milliseconds - *start->milliseconds);
    return cudaSuccess;
  });
}
}
