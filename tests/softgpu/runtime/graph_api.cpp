// Graphs made by stream capture: begin, end, instantiate, update, launch. A graph's memory nodes and nodes added by
// hand are not modelled: those functions do not exist here, so a program that calls them does not link.
#include "tests/softgpu/runtime/core.h"

using namespace softgpu::runtime;

namespace {

// Whether every node of `nodes` is among `tail` or before one of them.
bool joined(const std::vector<WorkPtr>& nodes, const std::vector<WorkPtr>& tail) {
  std::set<const Work*> seen;
  std::vector<const Work*> open;
  for (const WorkPtr& node : tail) open.push_back(node.get());
  while (!open.empty()) {
    const Work* node = open.back();
    open.pop_back();
    if (!seen.insert(node).second) continue;
    for (const WorkPtr& before : node->after) open.push_back(before.get());
  }
  for (const WorkPtr& node : nodes) {
    if (!seen.contains(node.get())) return false;
  }
  return true;
}

// Where each node of one graph comes, in numbers of nodes, for comparing two graphs' shapes.
std::vector<std::vector<size_t>> edges(const std::vector<WorkPtr>& nodes) {
  std::map<const Work*, size_t> number;
  std::vector<std::vector<size_t>> result;
  for (const WorkPtr& node : nodes) {
    number[node.get()] = result.size();
    std::vector<size_t> before;
    for (const WorkPtr& other : node->after) before.push_back(number[other.get()]);
    result.push_back(std::move(before));
  }
  return result;
}

cudaError_t instantiate(cudaGraphExec_t* out, cudaGraph_t graph) {
  if (!out || !state().graphs.contains(graph)) return cudaErrorInvalidValue;
  auto* exec = new CUgraphExec_st{graph->nodes, graph->edges, graph};
  state().execs.insert(exec);
  *out = exec;
  return cudaSuccess;
}

cudaGraphNode_t handle_of(const WorkPtr& node) { return reinterpret_cast<cudaGraphNode_t>(node.get()); }

cudaStreamCaptureStatus status_of(const CUstream_st& s) {
  if (!s.capture) return cudaStreamCaptureStatusNone;
  return s.capture->broken != cudaSuccess ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
}

// Where an executable graph keeps the work of a node of the graph that it was made from, which must still be there.
WorkPtr* node_of(cudaGraphExec_t exec, cudaGraphNode_t node, Work::Kind kind) {
  if (!state().execs.contains(exec) || !state().graphs.contains(exec->graph)) return nullptr;
  for (size_t i = 0; i < exec->nodes.size(); ++i) {
    if (handle_of(exec->graph->nodes[i]) == node) return exec->nodes[i]->kind == kind ? &exec->nodes[i] : nullptr;
  }
  return nullptr;
}

template <class Fill>
cudaError_t replace(WorkPtr* place, const Fill& fill) {
  auto work = std::make_shared<Work>();
  const cudaError_t error = fill(*work);
  if (error == cudaSuccess) work->serial = (*place)->serial, *place = work;
  return error;
}

}  // namespace

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return call("cudaStreamBeginCapture", [&] {
    Runtime& r = state();
    CUstream_st* s = r.stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s == &r.legacy) return cudaErrorStreamCaptureUnsupported;
    if (s->capture) return cudaErrorIllegalState;
    s->capture = std::make_shared<Capture>();
    s->capture->origin = s;
    s->capture->mode = mode;
    s->capture->thread = std::this_thread::get_id();
    s->capture->streams = {s};
    s->capture->id = r.next_id++;
    s->capture_tail.clear();
    std::erase_if(r.captures, [](const auto& weak) { return weak.expired(); });
    r.captures.push_back(s->capture);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* out) {
  return call("cudaStreamEndCapture", [&] {
    Runtime& r = state();
    CUstream_st* s = r.stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (!out) return cudaErrorInvalidValue;
    *out = nullptr;
    if (!s->capture) return cudaErrorIllegalState;
    const std::shared_ptr<Capture> capture = s->capture;
    if (capture->origin != s) return cudaErrorStreamCaptureUnmatched;
    const bool all_joined = joined(capture->nodes, s->capture_tail);
    for (CUstream_st* member : capture->streams) {
      if (!r.streams.contains(member)) continue;
      member->capture = nullptr;
      member->capture_tail.clear();
    }
    for (CUevent_st* event : r.events) {
      if (event->capture == capture) event->capture = nullptr, event->capture_tail.clear();
    }
    std::erase_if(r.captures, [&](const auto& weak) { return weak.lock() == capture; });
    if (capture->broken != cudaSuccess) return capture->broken;
    if (!all_joined) return cudaErrorStreamCaptureUnjoined;
    auto* graph = new CUgraph_st{capture->nodes, edges(capture->nodes)};
    r.graphs.insert(graph);
    *out = graph;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return call("cudaStreamIsCapturing", [&] {
    CUstream_st* s = state().stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (!status) return cudaErrorInvalidValue;
    *status = status_of(*s);
    return cudaSuccess;
  });
}

// The next captured node's dependencies; a graph that is still being captured has no handle here.
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status, unsigned long long* id,
                                     cudaGraph_t* graph, const cudaGraphNode_t** dependencies,
                                     const cudaGraphEdgeData** edges_out, size_t* count) {
  return call("cudaStreamGetCaptureInfo", [&] {
    CUstream_st* s = state().stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (!status) return cudaErrorInvalidValue;
    if (graph || edges_out) return cudaErrorNotSupported;
    *status = status_of(*s);
    if (*status != cudaStreamCaptureStatusActive) return cudaSuccess;
    s->capture->last.clear();
    for (const WorkPtr& node : s->capture_tail) s->capture->last.push_back(handle_of(node));
    if (id) *id = s->capture->id;
    if (dependencies) *dependencies = s->capture->last.data();
    if (count) *count = s->capture->last.size();
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long flags) {
  return call("cudaGraphInstantiate", [&] { return flags ? cudaErrorNotSupported : instantiate(out, graph); });
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long flags) {
  return call("cudaGraphInstantiateWithFlags", [&] { return flags ? cudaErrorNotSupported : instantiate(out, graph); });
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph, cudaGraphExecUpdateResultInfo* info) {
  return call("cudaGraphExecUpdate", [&] {
    if (!info || !state().execs.contains(exec) || !state().graphs.contains(graph)) return cudaErrorInvalidValue;
    *info = {};
    bool same = exec->edges == graph->edges;
    info->result = same ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateErrorTopologyChanged;
    for (size_t i = 0; same && i < graph->nodes.size(); ++i) {
      if (exec->nodes[i]->kind == graph->nodes[i]->kind) continue;
      info->result = cudaGraphExecUpdateErrorNodeTypeChanged;
      same = false;
    }
    if (!same) return cudaErrorGraphExecUpdateFailure;
    exec->nodes = graph->nodes;
    return cudaSuccess;
  });
}

// Launches that are queued keep the nodes that they were given.
cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* params) {
  return call("cudaGraphExecKernelNodeSetParams", [&] {
    WorkPtr* place = node_of(exec, node, Work::Kind::kernel);
    if (!place || !params || params->extra) return cudaErrorInvalidValue;
    return replace(place, [&](Work& work) { return kernel_work(*params, work); });
  });
}

cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t exec, cudaGraphNode_t node, void* dst, const void* src,
                                               size_t count, cudaMemcpyKind kind) {
  constexpr const char* kName = "cudaGraphExecMemcpyNodeSetParams1D";
  return call(kName, [&] {
    WorkPtr* place = node_of(exec, node, Work::Kind::copy);
    if (!place || count == 0) return cudaErrorInvalidValue;
    return replace(place, [&](Work& work) { return copy_work(kName, dst, src, count, kind, work); });
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
  return call("cudaGraphLaunch", [&] {
    Runtime& r = state();
    CUstream_st* s = r.stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (!r.execs.contains(exec)) return cudaErrorInvalidValue;
    if (s->capture) return cudaErrorStreamCaptureUnsupported;  // child graphs are not modelled
    Work work{
        .kind = Work::Kind::graph, .what = "a graph of " + std::to_string(exec->nodes.size()) + " nodes", .run = {}};
    work.nodes = exec->nodes;
    work.edges = exec->edges;
    for (const WorkPtr& node : exec->nodes) {
      for (const HostRange& range : node->pinned) {
        if (!r.pinned_base(range.base, range.size)) {
          r.report(softgpu::Kind::runtime, "cudaGraphLaunch: its " + node->what +
                                               " uses pinned memory that has been freed since it was captured");
          return cudaErrorInvalidValue;
        }
        work.pinned.push_back(range);
      }
    }
    return r.enqueue(*s, std::move(work));
  });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t handle) {
  return call("cudaGraphUpload", [&] {
    return state().execs.contains(exec) && state().stream(handle) ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  return call("cudaGraphGetNodes", [&] {
    if (!count || !state().graphs.contains(graph)) return cudaErrorInvalidValue;
    if (nodes) return cudaErrorNotSupported;  // handles of nodes are not modelled; their number is
    *count = graph->nodes.size();
    return cudaSuccess;
  });
}

// Launches that are queued keep what they need.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return call("cudaGraphExecDestroy", [&] {
    if (!state().execs.erase(exec)) return cudaErrorInvalidValue;
    delete exec;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call("cudaGraphDestroy", [&] {
    if (!state().graphs.erase(graph)) return cudaErrorInvalidValue;
    delete graph;
    return cudaSuccess;
  });
}
}
