#include "kernels/device/graphs.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "kernels/device/launch.cuh"

namespace aid::cuda {
namespace {

// Shapes that are remembered, and so graphs. Each holds some hundred kilobytes, on the host and on the device.
constexpr size_t kMostShapes = 32;

constexpr size_t kArgumentAlignment = 16;  // the most that a kernel's parameter asks for

std::string name_of(const void* kernel) {
  const char* mangled = nullptr;
  if (cudaFuncGetName(&mangled, kernel) != cudaSuccess || mangled == nullptr) return "a kernel";
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(mangled, nullptr, nullptr, nullptr), std::free);
  return name ? name.get() : mangled;
}

std::string text_of(const dim3& d) {
  return std::to_string(d.x) + " x " + std::to_string(d.y) + " x " + std::to_string(d.z);
}

void check_launch(cudaError_t error, const void* kernel, const LaunchShape& shape) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();  // the error is told once
  const char* advice =
      error == cudaErrorNoKernelImageForDevice || error == cudaErrorUnsupportedPtxVersion
          ? "; this program was compiled for other GPUs: rebuild with this one in AID_CUDA_ARCHITECTURES"
          : "; --device cpu works without a GPU";
  throw CudaError("launch of " + name_of(kernel) + " with " + text_of(shape.grid) + " blocks of " +
                  text_of(shape.block) + " threads and " + std::to_string(shape.shared) +
                  " bytes of shared memory: " + cudaGetErrorString(error) + advice);
}

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();
  throw CudaError(std::string(call) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")");
}

// More shared memory than every kernel may have must be asked for.
void allow_shared_memory(const void* kernel, const LaunchShape& shape) {
  constexpr size_t kWithoutAsking = 48 << 10;
  if (shape.shared <= kWithoutAsking) return;
  check_launch(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shape.shared)), kernel,
      shape);
}

void queue_kernel(const void* kernel, const LaunchShape& shape, void** arguments, cudaStream_t stream) {
  allow_shared_memory(kernel, shape);
  check_launch(cudaLaunchKernel(kernel, shape.grid, shape.block, arguments, shape.shared, stream), kernel, shape);
}

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
};

void queue_copy(const Copy& copy, cudaStream_t stream) {
  check(cudaMemcpyAsync(copy.to, copy.from, copy.bytes, cudaMemcpyDefault, stream), "cudaMemcpyAsync");
}

bool same(const dim3& a, const dim3& b) { return a.x == b.x && a.y == b.y && a.z == b.z; }

// The node that was captured last, which is all that the stream's next one will wait for.
cudaGraphNode_t last_node(cudaStream_t stream) {
  cudaStreamCaptureStatus status;
  const cudaGraphNode_t* nodes = nullptr;
  size_t count = 0;
#if CUDART_VERSION >= 13000
  check(cudaStreamGetCaptureInfo(stream, &status, nullptr, nullptr, &nodes, nullptr, &count),
        "cudaStreamGetCaptureInfo");
#else
  check(cudaStreamGetCaptureInfo_v2(stream, &status, nullptr, nullptr, &nodes, &count), "cudaStreamGetCaptureInfo");
#endif
  AID_CHECK(count == 1, "a captured command has ", count, " last nodes; expected one");
  return nodes[0];
}

}  // namespace

struct Graphs::Command {
  enum class Kind : uint8_t { kernel, copy, library };
  Kind kind;
  const void* kernel = nullptr;
  Library library = nullptr;
  LaunchShape shape = {};
  size_t first_argument = 0;  // of the recording's
};

struct Graphs::Recording {
  std::vector<Command> commands;
  std::vector<size_t> arguments;  // where each begins in `bytes`
  std::vector<std::byte> bytes;   // between arguments zero

  void clear() {
    commands.clear();
    arguments.clear();
    bytes.clear();
  }
  void add(Command command, std::span<const Argument> values) {
    command.first_argument = arguments.size();
    for (const Argument& value : values) {
      const size_t at = (bytes.size() + kArgumentAlignment - 1) / kArgumentAlignment * kArgumentAlignment;
      bytes.resize(at + value.size);
      std::memcpy(&bytes[at], value.data, value.size);
      arguments.push_back(at);
    }
    commands.push_back(command);
  }

  // Argument i, or what is behind the last.
  size_t begin_of(size_t i) const { return i < arguments.size() ? arguments[i] : bytes.size(); }
  size_t end_argument(size_t command) const {
    return command + 1 < commands.size() ? commands[command + 1].first_argument : arguments.size();
  }
  const void* argument(const Command& command) const { return &bytes[arguments[command.first_argument]]; }
  // As cudaLaunchKernel takes them.
  std::vector<void*> pointers(size_t command) const {
    std::vector<void*> list;
    for (size_t i = commands[command].first_argument; i < end_argument(command); ++i) {
      list.push_back(const_cast<std::byte*>(&bytes[arguments[i]]));
    }
    return list;
  }

  // Whether a command has the other recording's shape and arguments.
  bool equal(size_t command, const Recording& other) const {
    const LaunchShape &a = commands[command].shape, &b = other.commands[command].shape;
    return same(a.grid, b.grid) && same(a.block, b.block) && a.shared == b.shared &&
           std::ranges::equal(bytes_of(command), other.bytes_of(command));
  }
  // Whether it is the other's but for shapes and arguments of kernels and copies, which a graph's nodes can be given.
  bool same_work(const Recording& other) const {
    if (commands.size() != other.commands.size()) return false;
    for (size_t i = 0; i < commands.size(); ++i) {
      const Command &a = commands[i], &b = other.commands[i];
      if (a.kind != b.kind || a.kernel != b.kernel || a.library != b.library) return false;
      if (a.kind == Command::Kind::library && !equal(i, other)) return false;
    }
    return true;
  }

 private:
  std::span<const std::byte> bytes_of(size_t command) const {
    const size_t begin = begin_of(commands[command].first_argument);
    return std::span(bytes).subspan(begin, begin_of(end_argument(command)) - begin);
  }
};

struct Graphs::Graph {
  std::unique_ptr<CUgraph_st, cudaError_t (*)(cudaGraph_t)> graph{nullptr, cudaGraphDestroy};  // its nodes' names
  std::unique_ptr<CUgraphExec_st, cudaError_t (*)(cudaGraphExec_t)> executable{nullptr, cudaGraphExecDestroy};
  std::vector<cudaGraphNode_t> nodes;  // of each command; null for those of a library, which may be several
  Recording now;                       // what its nodes do
};

struct Graphs::Seen {
  std::vector<int32_t> shape;
  std::unique_ptr<Graph> graph;  // null: seen once
};

Graphs::Graphs(CUstream_st* stream, bool enabled)
    : stream_(stream), enabled_(enabled), recorded_(std::make_unique<Recording>()) {}
Graphs::~Graphs() = default;

void Graphs::kernel(const void* function, const LaunchShape& shape, std::span<const Argument> arguments) {
  if (recording_) return recorded_->add({.kind = Command::Kind::kernel, .kernel = function, .shape = shape}, arguments);
  std::vector<void*> pointers;
  for (const Argument& argument : arguments) pointers.push_back(const_cast<void*>(argument.data));
  queue_kernel(function, shape, pointers.data(), stream_);
}

void Graphs::copy(void* to, const void* from, size_t bytes) {
  const Copy copy{to, from, bytes};
  if (!recording_) return queue_copy(copy, stream_);
  const Argument argument{&copy, sizeof copy};
  recorded_->add({.kind = Command::Kind::copy}, {&argument, 1});
}

void Graphs::library(Library function, const Argument& arguments) {
  if (!recording_) return function(arguments.data);
  recorded_->add({.kind = Command::Kind::library, .library = function}, {&arguments, 1});
}

// Queues a recorded command.
void Graphs::issue(size_t i) const {
  const Command& command = recorded_->commands[i];
  switch (command.kind) {
    case Command::Kind::kernel:
      return queue_kernel(command.kernel, command.shape, recorded_->pointers(i).data(), stream_);
    case Command::Kind::copy:
      return queue_copy(*static_cast<const Copy*>(recorded_->argument(command)), stream_);
    case Command::Kind::library:
      return command.library(recorded_->argument(command));
  }
}

void Graphs::flush() {
  if (!recording_) return;
  recording_ = false;
  for (size_t i = 0; i < recorded_->commands.size(); ++i) issue(i);
}

Graphs::Seen* Graphs::find(std::span<const int32_t> shape) {
  const auto found =
      std::find_if(seen_.begin(), seen_.end(), [&](const Seen& seen) { return std::ranges::equal(seen.shape, shape); });
  if (found != seen_.end()) {
    seen_.splice(seen_.begin(), seen_, found);
    return &seen_.front();
  }
  if (seen_.size() == kMostShapes) seen_.pop_back();
  seen_.push_front({.shape = {shape.begin(), shape.end()}});
  return nullptr;
}

void Graphs::repeat(std::span<const int32_t> shape, const std::function<void()>& work) {
  Seen* const seen = enabled_ ? find(shape) : nullptr;
  if (seen == nullptr) return work();
  recorded_->clear();
  recording_ = true;
  try {
    work();
  } catch (...) {
    recording_ = false;
    throw;
  }
  if (!std::exchange(recording_, false) || recorded_->commands.empty()) return;
  std::unique_ptr<Graph> graph = std::move(seen->graph);  // gone, unless all goes well
  if (graph != nullptr && recorded_->same_work(graph->now)) {
    update(*graph);
  } else {
    graph = capture();
  }
  std::swap(graph->now, *recorded_);
  check(cudaGraphLaunch(graph->executable.get(), stream_), "cudaGraphLaunch");
  seen->graph = std::move(graph);
}

std::unique_ptr<Graphs::Graph> Graphs::capture() const {
  auto graph = std::make_unique<Graph>();
  cudaGraph_t captured = nullptr;
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  try {
    for (size_t i = 0; i < recorded_->commands.size(); ++i) {
      issue(i);
      const bool of_library = recorded_->commands[i].kind == Command::Kind::library;
      graph->nodes.push_back(of_library ? nullptr : last_node(stream_));
    }
  } catch (...) {
    (void)cudaStreamEndCapture(stream_, &captured);
    if (captured != nullptr) (void)cudaGraphDestroy(captured);
    (void)cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(stream_, &captured), "cudaStreamEndCapture");
  graph->graph.reset(captured);
  cudaGraphExec_t executable = nullptr;
  check(cudaGraphInstantiate(&executable, captured, 0), "cudaGraphInstantiate");
  graph->executable.reset(executable);
  return graph;
}

// Sets what was recorded in the nodes of a graph of the same work.
void Graphs::update(Graph& graph) const {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Command& command = recorded_->commands[i];
    if (recorded_->equal(i, graph.now)) continue;
    if (command.kind == Command::Kind::copy) {
      const auto& copy = *static_cast<const Copy*>(recorded_->argument(command));
      check(cudaGraphExecMemcpyNodeSetParams1D(graph.executable.get(), graph.nodes[i], copy.to, copy.from, copy.bytes,
                                               cudaMemcpyDefault),
            "cudaGraphExecMemcpyNodeSetParams1D");
      continue;
    }
    allow_shared_memory(command.kernel, command.shape);
    std::vector<void*> arguments = recorded_->pointers(i);
    const cudaKernelNodeParams parameters = {.func = const_cast<void*>(command.kernel),
                                             .gridDim = command.shape.grid,
                                             .blockDim = command.shape.block,
                                             .sharedMemBytes = static_cast<unsigned>(command.shape.shared),
                                             .kernelParams = arguments.data(),
                                             .extra = nullptr};
    check_launch(cudaGraphExecKernelNodeSetParams(graph.executable.get(), graph.nodes[i], &parameters), command.kernel,
                 command.shape);
  }
}

}  // namespace aid::cuda
