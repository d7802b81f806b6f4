// What a stream is given to do, kernels, copies and calls of libraries, as values: queued at once, or held back and
// given to the device as one CUDA graph.
//
// Work of one shape queues the same commands each time, with few other arguments: dropout's step, AdamW's factors, how
// many different words a batch has. So when a shape comes again, its commands are recorded. The first recording is
// captured into a graph; each later one is compared with it, what differs is set in its nodes, and it is launched. What
// runs is therefore what the ops asked for this time, whatever the graph held before. A recording that does not fit the
// graph (another kernel, a matrix of a library elsewhere) is captured anew.
//
// Recording rather than capturing each time: the host's work stays what it is, a comparison instead of a call for each
// launch, and ops may allocate meanwhile. Nothing that shows as a failure of a call is passed over: CudaError.
#pragma once

#include <list>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "kernels/device/runtime.h"

namespace aid::cuda {

struct LaunchShape;

// An argument of a kernel, of any trivially copyable type.
struct Argument {
  const void* data;
  size_t size;
};

class Graphs {
 public:
  Graphs(CUstream_st* stream, bool enabled);
  ~Graphs();
  Graphs(const Graphs&) = delete;
  Graphs& operator=(const Graphs&) = delete;

  void kernel(const void* function, const LaunchShape& shape, std::span<const Argument> arguments);
  // Between the device's memory and pinned memory of the host.
  void copy(void* to, const void* from, size_t bytes);
  // Calls Function(arguments), which queues something on the stream. The same arguments must ask for the same.
  template <auto Function, class Arguments>
  void call(const Arguments& arguments) {
    static_assert(std::has_unique_object_representations_v<Arguments>, "arguments are compared byte by byte");
    library([](const void* data) { Function(*static_cast<const Arguments*>(data)); }, {&arguments, sizeof arguments});
  }

  // Stream::repeat and Queue::flush.
  void repeat(std::span<const int32_t> shape, const std::function<void()>& work);
  void flush();

 private:
  using Library = void (*)(const void* arguments);
  struct Command;
  struct Recording;
  struct Graph;
  struct Seen;

  void library(Library function, const Argument& arguments);
  void issue(size_t command) const;
  std::unique_ptr<Graph> capture() const;
  void update(Graph& graph) const;
  // Makes the shape the newest. Null where it was not among those that are remembered.
  Seen* find(std::span<const int32_t> shape);

  CUstream_st* stream_;
  bool enabled_;
  bool recording_ = false;
  std::unique_ptr<Recording> recorded_;
  std::list<Seen> seen_;  // the newest first
};

}  // namespace aid::cuda
