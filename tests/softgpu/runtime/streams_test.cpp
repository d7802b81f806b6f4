#include <numeric>
#include <thread>

#include "tests/softgpu/runtime/fixture.h"
#include "tests/softgpu/runtime/test_kernels.h"

namespace softgpu {
namespace {

using Floats = std::vector<float>;

class Streams : public RuntimeTest {
 protected:
  static cudaStream_t make_stream(unsigned flags = cudaStreamNonBlocking) {
    cudaStream_t stream = nullptr;
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream, flags), cudaSuccess);
    return stream;
  }
  static float* make_pinned(size_t count) {
    void* p = nullptr;
    EXPECT_EQ(cudaMallocHost(&p, count * sizeof(float)), cudaSuccess);
    return static_cast<float*>(p);
  }
  static cudaError_t copy(float* y, const float* x, int n, cudaStream_t stream) {
    void* args[] = {&y, &x, &n};
    return cudaLaunchKernel(test_kernels::copy, dim3((n + 127) / 128), dim3(128), args, 0, stream);
  }
};

TEST_F(Streams, WorkRunsWhenTheHostWaits) {
  int launches = 0;
  on_launch([&](const Launch& launch) {
    ++launches;
    EXPECT_EQ(launch.kernel.substr(0, 26), "test_kernels::kernels::add");
  });
  DeviceArray x(Floats{1, 2, 3});
  const cudaStream_t stream = make_stream();
  test_kernels::launch_add(x.data(), 10, 3, stream);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(launches, 0);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(launches, 1);
  EXPECT_EQ(x.values(), (Floats{11, 12, 13}));
  on_launch({});
}

TEST_F(Streams, PageableMemoryIsReadAtTheCallAndPinnedMemoryWhenTheCopyRuns) {
  const cudaStream_t stream = make_stream();
  DeviceArray x(2), y(2);
  Floats pageable = {1, 2};
  float* pinned = make_pinned(2);
  pinned[0] = 1, pinned[1] = 2;
  EXPECT_EQ(cudaMemcpyAsync(x.data(), pageable.data(), 8, cudaMemcpyHostToDevice, stream), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(y.data(), pinned, 8, cudaMemcpyHostToDevice, stream), cudaSuccess);
  pageable[0] = pinned[0] = 9;
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(x.values(), (Floats{1, 2}));
  EXPECT_EQ(y.values(), (Floats{9, 2}));
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

// Planted: the host reads what a copy has not brought yet.
TEST_F(Streams, OutputReadBeforeSynchronisingIsOld) {
  const cudaStream_t stream = make_stream();
  DeviceArray x(Floats{5});
  float* pinned = make_pinned(1);
  pinned[0] = -1;
  EXPECT_EQ(cudaMemcpyAsync(pinned, x.data(), 4, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(pinned[0], -1);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(pinned[0], 5);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

TEST_F(Streams, CopyToPageableMemoryWaits) {
  DeviceArray x(Floats{5});
  clear_host_waits();
  float value = 0;
  EXPECT_EQ(cudaMemcpyAsync(&value, x.data(), 4, cudaMemcpyDeviceToHost, make_stream()), cudaSuccess);
  EXPECT_EQ(value, 5);
  EXPECT_EQ(host_waits(), std::vector<std::string>{"cudaMemcpyAsync"});
}

// Planted: a copy in a second stream does not wait for the kernel in the first.
TEST_F(Streams, ForgottenWaitShows) {
  const auto result = [](bool waits) {
    const cudaStream_t first = make_stream(), second = make_stream();
    cudaEvent_t event = nullptr;
    EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    DeviceArray x(Floats{1}), y(Floats{0});
    test_kernels::launch_add(x.data(), 1, 1, first);
    EXPECT_EQ(cudaEventRecord(event, first), cudaSuccess);
    if (waits) {
      EXPECT_EQ(cudaStreamWaitEvent(second, event, 0), cudaSuccess);
    }
    EXPECT_EQ(copy(y.data(), x.data(), 1, second), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    return y.values()[0];
  };
  EXPECT_EQ(result(true), 2);
  EXPECT_EQ(result(false), 1);
  set_stream_order(StreamOrder::calls);
  EXPECT_EQ(result(true), 2);
  EXPECT_EQ(result(false), 2);  // the order that hides the mistake
  int wrong = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    set_stream_order(StreamOrder::random, seed);
    EXPECT_EQ(result(true), 2) << seed;
    wrong += result(false) != 2;
  }
  EXPECT_GT(wrong, 0);
}

TEST_F(Streams, LegacyStreamWaitsForBlockingStreamsOnly) {
  for (const unsigned flags : {cudaStreamDefault, cudaStreamNonBlocking}) {
    DeviceArray x(Floats{1}), y(Floats{0});
    test_kernels::launch_add(x.data(), 1, 1, make_stream(flags));
    EXPECT_EQ(copy(y.data(), x.data(), 1, nullptr), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
    EXPECT_EQ(y.values()[0], flags == cudaStreamDefault ? 2 : 1);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }
}

TEST_F(Streams, AQueryIsNotReadyAndALoopOfQueriesEnds) {
  const cudaStream_t stream = make_stream();
  cudaEvent_t start = nullptr, end = nullptr;
  EXPECT_EQ(cudaEventCreate(&start), cudaSuccess);
  EXPECT_EQ(cudaEventCreate(&end), cudaSuccess);
  DeviceArray x(Floats{1});
  EXPECT_EQ(cudaEventQuery(end), cudaSuccess);  // nothing recorded
  EXPECT_EQ(cudaEventRecord(start, stream), cudaSuccess);
  test_kernels::launch_add(x.data(), 1, 1, stream);
  EXPECT_EQ(cudaEventRecord(end, stream), cudaSuccess);
  float ms = -1;
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, end), cudaErrorNotReady);
  EXPECT_EQ(cudaEventQuery(end), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);  // not ready is no error
  int queries = 1;
  while (cudaEventQuery(end) == cudaErrorNotReady) ++queries;
  EXPECT_EQ(queries, 2);
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, end), cudaSuccess);
  EXPECT_GE(ms, 0);
  cudaEvent_t untimed = nullptr;
  EXPECT_EQ(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(untimed, stream), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, untimed), cudaErrorInvalidResourceHandle);
}

TEST_F(Streams, HostFunctionsRunInOrderAndMustNotCallCuda) {
  const cudaStream_t stream = make_stream();
  DeviceArray x(Floats{1});
  struct Seen {
    const float* x;
    float value;
    cudaError_t error;
  } seen{x.data(), 0, cudaSuccess};
  test_kernels::launch_add(x.data(), 1, 1, stream);
  const auto look = [](void* data) {
    auto* s = static_cast<Seen*>(data);
    s->value = *s->x;  // a device address is a host address here, and only here
    s->error = cudaStreamSynchronize(nullptr);
  };
  EXPECT_EQ(cudaLaunchHostFunc(stream, look, &seen), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(seen.value, 2);
  EXPECT_EQ(seen.error, cudaErrorNotPermitted);
  expect_report(Kind::runtime, "cudaStreamSynchronize called from a function given to cudaLaunchHostFunc");
}

TEST_F(Streams, DestroyedStreamFinishesItsWork) {
  DeviceArray x(Floats{1});
  const cudaStream_t stream = make_stream();
  test_kernels::launch_add(x.data(), 1, 1, stream);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(x.values()[0], 2);
}

TEST_F(Streams, HostWaitsAreCounted) {
  const cudaStream_t stream = make_stream();
  float* pinned = make_pinned(1);
  void* block = nullptr;
  clear_host_waits();
  EXPECT_EQ(cudaMallocAsync(&block, 4, stream), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(block, 0, 4, stream), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(pinned, block, 4, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(cudaFreeAsync(block, stream), cudaSuccess);
  EXPECT_TRUE(host_waits().empty());
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&block, 4), cudaSuccess);
  EXPECT_EQ(cudaFree(block), cudaSuccess);
  EXPECT_EQ(host_waits(), (std::vector<std::string>{"cudaStreamSynchronize", "cudaFree"}));
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

// ---- graphs ----

class Graphs : public Streams {};

TEST_F(Graphs, CapturedWorkRunsAtEachLaunch) {
  const cudaStream_t stream = make_stream();
  DeviceArray x(Floats{1}), y(Floats{0});
  EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  test_kernels::launch_add(x.data(), 1, 1, stream);
  EXPECT_EQ(copy(y.data(), x.data(), 1, stream), cudaSuccess);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  size_t nodes = 0;
  EXPECT_EQ(cudaGraphGetNodes(graph, nullptr, &nodes), cudaSuccess);
  EXPECT_EQ(nodes, 2u);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(x.values()[0], 1);
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(y.values()[0], 4);
}

TEST_F(Graphs, ForkAndJoin) {
  const cudaStream_t first = make_stream(), second = make_stream();
  cudaEvent_t fork = nullptr, join = nullptr;
  EXPECT_EQ(cudaEventCreate(&fork), cudaSuccess);
  EXPECT_EQ(cudaEventCreate(&join), cudaSuccess);
  DeviceArray x(Floats{1}), y(Floats{0});
  for (const bool joins : {true, false}) {
    EXPECT_EQ(cudaStreamBeginCapture(first, cudaStreamCaptureModeGlobal), cudaSuccess);
    test_kernels::launch_add(x.data(), 1, 1, first);
    EXPECT_EQ(cudaEventRecord(fork, first), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(second, fork, 0), cudaSuccess);
    EXPECT_EQ(copy(y.data(), x.data(), 1, second), cudaSuccess);
    EXPECT_EQ(cudaEventRecord(join, second), cudaSuccess);
    EXPECT_EQ(cudaEventQuery(join), cudaErrorCapturedEvent);
    if (joins) {
      EXPECT_EQ(cudaStreamWaitEvent(first, join, 0), cudaSuccess);
    }
    test_kernels::launch_add(y.data(), 1, 1, first);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(first, &graph), joins ? cudaSuccess : cudaErrorStreamCaptureUnjoined);
    if (!joins) continue;
    cudaGraphExec_t exec = nullptr;
    EXPECT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(exec, first), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(first), cudaSuccess);
    EXPECT_EQ(y.values()[0], 3);
  }
}

TEST_F(Graphs, WhatACaptureForbidsEndsIt) {
  const cudaStream_t stream = make_stream(), other = make_stream();
  void* p = nullptr;
  cudaGraph_t graph = nullptr;
  cudaEvent_t event = nullptr;
  EXPECT_EQ(cudaEventCreate(&event), cudaSuccess);
  const auto capture = [&](const auto& body, cudaError_t expected) {
    EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    EXPECT_EQ(body(), expected);
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
  };
  capture([&] { return cudaStreamSynchronize(stream); }, cudaErrorStreamCaptureUnsupported);
  capture([&] { return cudaMalloc(&p, 4); }, cudaErrorStreamCaptureUnsupported);
  capture([&] { return cudaDeviceSynchronize(); }, cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaEventRecord(event, other), cudaSuccess);
  capture([&] { return cudaStreamWaitEvent(stream, event, 0); }, cudaErrorStreamCaptureIsolation);
  const cudaStream_t blocking = make_stream(cudaStreamDefault);
  EXPECT_EQ(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  test_kernels::launch_add(nullptr, 1, 1, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorStreamCaptureImplicit);
  EXPECT_EQ(cudaStreamEndCapture(blocking, &graph), cudaErrorStreamCaptureInvalidated);
}

TEST_F(Graphs, UpdateTakesTheSameShapeOnly) {
  const cudaStream_t stream = make_stream();
  DeviceArray x(Floats{0});
  const auto capture = [&](int launches, float value) {
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaSuccess);
    for (int i = 0; i < launches; ++i) test_kernels::launch_add(x.data(), value, 1, stream);
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    return graph;
  };
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&exec, capture(2, 1), 0), cudaSuccess);
  cudaGraphExecUpdateResultInfo info;
  EXPECT_EQ(cudaGraphExecUpdate(exec, capture(2, 10), &info), cudaSuccess);
  EXPECT_EQ(cudaGraphExecUpdate(exec, capture(3, 1), &info), cudaErrorGraphExecUpdateFailure);
  EXPECT_EQ(info.result, cudaGraphExecUpdateErrorTopologyChanged);
  EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(x.values()[0], 20);
}

// The only node that the stream's next one would wait for.
cudaGraphNode_t last_node(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaGraphNode_t* nodes = nullptr;
  size_t count = 0;
  EXPECT_EQ(cudaStreamGetCaptureInfo(stream, &status, nullptr, nullptr, &nodes, nullptr, &count), cudaSuccess);
  EXPECT_EQ(status, cudaStreamCaptureStatusActive);
  EXPECT_EQ(count, 1u);
  return nodes[0];
}

TEST_F(Graphs, NodesTakeOtherParametersForLaterLaunches) {
  const cudaStream_t stream = make_stream();
  DeviceArray x(Floats{0, 0}), y(Floats{0, 0});
  float* pinned = make_pinned(4);
  std::iota(pinned, pinned + 4, 1.0f);
  EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(x.data(), pinned, 8, cudaMemcpyDefault, stream), cudaSuccess);
  const cudaGraphNode_t moved = last_node(stream);
  EXPECT_EQ(copy(y.data(), x.data(), 1, stream), cudaSuccess);
  const cudaGraphNode_t copied = last_node(stream);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);

  EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
  float *to = y.data() + 1, *from = x.data() + 1;
  int n = 1;
  void* args[] = {&to, &from, &n};
  const cudaKernelNodeParams other = {.func = const_cast<void*>(test_kernels::copy),
                                      .gridDim = dim3(1),
                                      .blockDim = dim3(32),
                                      .sharedMemBytes = 0,
                                      .kernelParams = args,
                                      .extra = nullptr};
  EXPECT_EQ(cudaGraphExecKernelNodeSetParams(exec, copied, &other), cudaSuccess);
  EXPECT_EQ(cudaGraphExecMemcpyNodeSetParams1D(exec, moved, x.data(), pinned + 2, 8, cudaMemcpyDefault), cudaSuccess);
  n = 100;  // parameters are taken at the call
  EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(x.values(), (Floats{3, 4}));
  EXPECT_EQ(y.values(), (Floats{1, 4}));  // of the first launch, of the second

  EXPECT_EQ(cudaGraphExecKernelNodeSetParams(exec, moved, &other), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGraphExecMemcpyNodeSetParams1D(exec, moved, x.data(), pinned, 0, cudaMemcpyDefault),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaGraphExecKernelNodeSetParams(exec, copied, &other), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

// Planted: pinned memory is freed while a graph still has it.
TEST_F(Graphs, AGraphOfFreedPinnedMemoryIsRefused) {
  const cudaStream_t stream = make_stream();
  DeviceArray x(1);
  float* pinned = make_pinned(1);
  pinned[0] = 1;
  EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(x.data(), pinned, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaErrorInvalidValue);
  expect_report(Kind::runtime, "uses pinned memory that has been freed since it was captured");
}

}  // namespace
}  // namespace softgpu
