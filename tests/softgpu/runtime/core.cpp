#include "tests/softgpu/runtime/core.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "tests/softgpu/memory.h"
#include "tests/softgpu/report.h"

namespace softgpu::runtime {

thread_local int in_callback = 0;

namespace {

thread_local cudaError_t last_error = cudaSuccess;

// The error that a failing call of this name gives most often.
cudaError_t usual_error(std::string_view name) {
  if (name.find("lloc") != name.npos) return cudaErrorMemoryAllocation;
  if (name == "kernel") return cudaErrorLaunchFailure;
  if (name == "cudaGetDeviceCount") return cudaErrorNoDevice;
  if (name == "cudaLaunchKernel") return cudaErrorLaunchOutOfResources;
  return cudaErrorUnknown;
}

void exit_check() {
  finish_runtime();
  if (reports().empty()) return;
  for (const Report& report : reports()) std::fprintf(stderr, "%s\n", report.str().c_str());
  std::fflush(nullptr);
  std::_Exit(97);
}

bool refused(const Capture& capture) {
  return capture.mode == cudaStreamCaptureModeGlobal ||
         (capture.mode == cudaStreamCaptureModeThreadLocal && capture.thread == std::this_thread::get_id());
}

}  // namespace

Runtime::Runtime() : launch_options(options_from_environment()) {
  if (const char* text = std::getenv("SOFTGPU_STREAMS")) {
    const std::string value = text;
    if (value == "calls") {
      order = StreamOrder::calls;
    } else if (value.starts_with("random:")) {
      order = StreamOrder::random;
      random.seed(std::stoull(value.substr(7)));
    } else if (value != "latest") {
      throw std::invalid_argument("SOFTGPU_STREAMS=" + value + ": expected latest, calls or random:SEED");
    }
  }
  if (const char* text = std::getenv("SOFTGPU_FAIL")) {
    std::string rest = text;
    while (!rest.empty()) {
      const size_t comma = rest.find(',');
      const std::string item = rest.substr(0, comma);
      rest = comma == rest.npos ? "" : rest.substr(comma + 1);
      const size_t colon = item.find(':');
      if (colon == item.npos) throw std::invalid_argument("SOFTGPU_FAIL: expected NAME:N, found " + item);
      const std::string name = item.substr(0, colon);
      failures.push_back({name, std::stoull(item.substr(colon + 1)), usual_error(name)});
    }
  }
  if (const char* text = std::getenv("SOFTGPU_MEMORY")) softgpu::set_memory_limit(std::stoull(text) << 20);
  if (const char* text = std::getenv("SOFTGPU_EXIT_CHECK"); text && *text == '1') std::atexit(exit_check);
}

Runtime& state() {
  static Runtime* instance = new Runtime;  // never destroyed: programs call CUDA from destructors of their own statics
  return *instance;
}

void Runtime::report(Kind kind, std::string text) { add_report({.kind = kind, .text = std::move(text)}); }

cudaError_t Runtime::injected(std::string_view name) {
  cudaError_t error = cudaSuccess;
  for (size_t i = 0; i < failures.size();) {
    Failure& failure = failures[i];
    if ((failure.name == name || failure.name == "*") && --failure.nth == 0) {
      error = failure.error;
      failures.erase(failures.begin() + static_cast<ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  return error;
}

void clear_last_error() { last_error = cudaSuccess; }

cudaError_t begin_call(const char* name, Traits traits) {
  Runtime& r = state();
  ++r.counts[name];
  ++r.counts["*"];
  if (in_callback) {
    r.report(Kind::runtime, std::string(name) + " called from a function given to cudaLaunchHostFunc: CUDA forbids it");
    return cudaErrorNotPermitted;
  }
  if (traits.harmless) return cudaSuccess;
  if (r.sticky != cudaSuccess) return r.sticky;
  if (cudaError_t error = r.injected(name); error != cudaSuccess) return error;
  if (traits.refused_in_capture) {
    for (auto& weak : r.captures) {
      if (auto capture = weak.lock(); capture && refused(*capture)) {
        capture->broken = cudaErrorStreamCaptureInvalidated;
        return cudaErrorStreamCaptureUnsupported;
      }
    }
  }
  if (traits.waits) r.waits.push_back(name);
  return cudaSuccess;
}

cudaError_t end_call(cudaError_t result) {
  if (result == cudaSuccess && state().sticky != cudaSuccess) result = state().sticky;
  // Not ready is an answer, not an error: queries do not set it (CUDA's documentation of cudaErrorNotReady).
  if (result != cudaSuccess && result != cudaErrorNotReady) last_error = result;
  return result;
}

CUstream_st* Runtime::stream(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return &legacy;
  const auto found = streams.find(handle);
  return found == streams.end() || (*found)->destroyed ? nullptr : *found;
}

cudaError_t Runtime::enqueue(CUstream_st& s, Work work) {
  auto item = std::make_shared<Work>(std::move(work));
  item->serial = next_id++;
  if (s.capture) {
    if (s.capture->broken != cudaSuccess) return cudaErrorStreamCaptureInvalidated;
    item->after.insert(item->after.end(), s.capture_tail.begin(), s.capture_tail.end());
    s.capture->nodes.push_back(item);
    s.capture_tail = {item};
    return cudaSuccess;
  }
  if (&s == &legacy) {
    for (auto& weak : captures) {
      auto capture = weak.lock();
      if (!capture || capture->mode == cudaStreamCaptureModeRelaxed || capture->origin->flags & cudaStreamNonBlocking)
        continue;
      capture->broken = cudaErrorStreamCaptureInvalidated;
      return cudaErrorStreamCaptureImplicit;
    }
    for (CUstream_st* other : streams) {
      if (!(other->flags & cudaStreamNonBlocking) && other->last && !other->last->done)
        item->after.push_back(other->last);
    }
  } else if (!(s.flags & cudaStreamNonBlocking) && legacy.last && !legacy.last->done) {
    item->after.push_back(legacy.last);
  }
  item->stream = &s;
  s.queue.push_back(item);
  s.last = newest = item;
  if (order == StreamOrder::calls) wait(item);
  if (order == StreamOrder::random) {
    for (auto list = ready(); !list.empty() && random() % 3 == 0; list = ready()) pop(list[random() % list.size()]);
  }
  return cudaSuccess;
}

std::vector<WorkPtr> Runtime::ready() const {
  std::vector<WorkPtr> list;
  const auto add = [&list](const CUstream_st& s) {
    if (s.queue.empty()) return;
    for (const WorkPtr& before : s.queue.front()->after) {
      if (!before->done) return;
    }
    list.push_back(s.queue.front());
  };
  add(legacy);
  for (const CUstream_st* s : streams) add(*s);
  return list;
}

// The piece to run first so that `work` can run at last.
WorkPtr Runtime::needed(const WorkPtr& work) {
  WorkPtr head = work;
  while (true) {
    head = head->stream->queue.front();
    WorkPtr missing;
    for (const WorkPtr& before : head->after) {
      if (!before->done) missing = before;
    }
    if (!missing) return head;
    head = missing;
  }
}

WorkPtr Runtime::choose(const std::vector<WorkPtr>& list) {
  if (order == StreamOrder::random) return list[random() % list.size()];
  WorkPtr best = list.front();
  for (const WorkPtr& item : list) {
    if (item->serial > best->serial) best = item;
  }
  return best;
}

void Runtime::pop(const WorkPtr& work) {
  CUstream_st* s = work->stream;
  s->queue.pop_front();
  run(*work);
  work->done = true;
  work->after.clear();
  if (s->destroyed && s->queue.empty()) {
    streams.erase(s);
    delete s;
  }
}

void Runtime::run(Work& work) {
  if (sticky != cudaSuccess) return;
  if (work.kind != Work::Kind::graph) return work.run();
  std::vector<bool> done(work.nodes.size());
  for (size_t left = work.nodes.size(); left > 0 && sticky == cudaSuccess; --left) {
    std::vector<WorkPtr> list;
    std::map<const Work*, size_t> places;
    for (size_t i = 0; i < work.nodes.size(); ++i) {
      bool free = !done[i];
      for (const size_t before : work.edges[i]) free &= done[before];
      if (!free) continue;
      list.push_back(work.nodes[i]);
      places[work.nodes[i].get()] = i;
    }
    const WorkPtr node = choose(list);
    run(*node);
    done[places[node.get()]] = true;
  }
}

void Runtime::wait(const WorkPtr& work) {
  while (!work->done) {
    if (order == StreamOrder::random) {
      const auto list = ready();
      pop(list[random() % list.size()]);
    } else {
      pop(needed(work));
    }
  }
}

void Runtime::wait(CUstream_st& s) {
  if (&s == &legacy) {  // the legacy stream's synchronisation covers the blocking streams
    for (CUstream_st* other : std::vector<CUstream_st*>(streams.begin(), streams.end())) {
      if (!(other->flags & cudaStreamNonBlocking) && other->last) wait(WorkPtr(other->last));
    }
  }
  if (s.last) wait(WorkPtr(s.last));
}

bool Runtime::step(CUstream_st& s) {
  if (s.queue.empty()) return false;
  pop(needed(s.queue.back()));
  return true;
}

void Runtime::wait_all() {
  for (auto list = ready(); !list.empty(); list = ready()) pop(choose(list));
}

void Runtime::fail(cudaError_t error) {
  if (sticky == cudaSuccess) sticky = error;
}

const char* Runtime::pinned_base(const void* p, size_t bytes) const {
  auto next = pinned.upper_bound(static_cast<const char*>(p));
  if (next == pinned.begin()) return nullptr;
  --next;
  return static_cast<const char*>(p) + bytes <= next->first + next->second.size ? next->first : nullptr;
}

void Runtime::finish_pinned(const void* base, size_t bytes, const char* by) {
  const char* begin = static_cast<const char*>(base);
  std::vector<WorkPtr> users;
  const auto scan = [&](const CUstream_st& s) {
    for (const WorkPtr& work : s.queue) {
      for (const HostRange& range : work->pinned) {
        if (range.base < begin + bytes && begin < range.base + range.size) {
          users.push_back(work);
          break;
        }
      }
    }
  };
  scan(legacy);
  for (const CUstream_st* s : streams) scan(*s);
  for (const WorkPtr& work : users) {
    report(Kind::runtime, std::string(by) + " gives back pinned memory that " + work->what +
                              " has not finished with; synchronise its stream, or an event behind it, before");
    wait(work);
  }
}

}  // namespace softgpu::runtime

extern "C" {

cudaError_t cudaGetLastError() {
  std::lock_guard lock(softgpu::runtime::state().mutex);
  auto& r = softgpu::runtime::state();
  const cudaError_t error = r.sticky != cudaSuccess ? r.sticky : softgpu::runtime::last_error;
  softgpu::runtime::last_error = cudaSuccess;
  r.unread_launch.clear();
  return error;
}

cudaError_t cudaPeekAtLastError() {
  std::lock_guard lock(softgpu::runtime::state().mutex);
  auto& r = softgpu::runtime::state();
  r.unread_launch.clear();
  return r.sticky != cudaSuccess ? r.sticky : softgpu::runtime::last_error;
}
}
