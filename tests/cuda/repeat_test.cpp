// Stream::repeat on the GPU: the same results whatever is repeated, and graphs where shapes come again only.
#include <gtest/gtest.h>

#include <numeric>

#include "kernels/device/runtime.h"
#include "kernels/elements/cast.h"
#include "kernels/matrix/linear.h"
#include "kernels/update/global_norm.h"
#include "tests/cuda/calls.h"

namespace aid::test {
namespace {

Calls calls_of(uint64_t kernels, uint64_t copies, uint64_t graphs = 0, uint64_t launches = 0) {
  Calls calls;
  calls.kernels = kernels, calls.copies = copies, calls.graphs = graphs, calls.launches = launches;
  calls.changed_kernels = calls.changed_copies = 0;
  return calls;
}

class Repeat : public testing::Test {
 protected:
  void TearDown() override { softgpu::clear_failures(); }

  // Queues: the values to the device, rounded to bf16 `times` times, back to the host.
  void queue(const std::vector<float>& values, std::vector<float>& result, int times = 1) {
    const auto size = static_cast<int64_t>(values.size());
    CSpan x = s_.upload(vector(values.data(), size));
    for (int i = 0; i < times; ++i) {
      const Span rounded = s_.arena().take(DType::bf16, size), back = s_.arena().take(DType::f32, size);
      cast(s_, {.y = rounded, .x = x});
      cast(s_, {.y = back, .x = rounded});
      x = back;
    }
    s_.download(vector(result.data(), size), x);
    s_.release();
  }

  // The same by repeat(), under a shape: its calls. Checks the result.
  Calls run(int32_t shape, float first, size_t size = 5, int times = 1) {
    std::vector<float> values(size), result(size), expected(size);
    std::iota(values.begin(), values.end(), first);
    for (size_t i = 0; i < size; ++i) expected[i] = static_cast<float>(bf16(values[i]));
    const Calls before;
    s_.repeat({&shape, 1}, [&] { queue(values, result, times); });
    s_.synchronize();
    EXPECT_EQ(result, expected);
    return Calls() - before;
  }

  Stream s_{{.threads = 1, .target = Target::cuda}};
};

TEST_F(Repeat, IsAGraphFromTheSecondTimeOn) {
  EXPECT_EQ(run(1, 0), calls_of(2, 2));
  EXPECT_EQ(run(1, 100.25), calls_of(2, 2, 1, 1));  // captured
  for (const float first : {0.5f, 300.25f, -7.0f}) EXPECT_EQ(run(1, first), calls_of(0, 0, 0, 1));
}

TEST_F(Repeat, OtherShapesAreQueuedAsTheyCome) {
  for (int32_t shape = 0; shape < 10; ++shape) EXPECT_EQ(run(shape, 1), calls_of(2, 2)) << shape;
}

// A shape tells little: what the work queues this time is what runs.
TEST_F(Repeat, RunsWhatWasAskedForWhateverTheGraphHeld) {
  run(1, 0);
  run(1, 0);
  Calls calls = run(1, 1, 700);  // as many commands, with other arguments and more blocks
  EXPECT_EQ(calls.graphs, 0u);
  EXPECT_EQ(calls.kernels, 0u);
  EXPECT_GE(calls.changed_kernels, 2u);
  EXPECT_EQ(calls.changed_copies, 2u);
  EXPECT_EQ(run(1, 2, 700), calls_of(0, 0, 0, 1));
  EXPECT_EQ(run(1, 2, 700, 3), calls_of(6, 2, 1, 1));  // more commands: captured anew
  EXPECT_EQ(run(1, 3, 700, 3), calls_of(0, 0, 0, 1));
}

// What a library put into a graph cannot be given other operands.
TEST_F(Repeat, AProductThatMovedIsCapturedAnew) {
  const std::vector<float> identity = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
  const Tensor on_device(DType::f32, 4, 4, Device::cuda);
  s_.upload(on_device.span(), matrix(identity.data(), 4, 4));
  LinearWeights weights(4, 4, DType::f32, LinearWeights::Use::training);
  weights.update(s_, on_device);
  const auto graphs_of = [&](float first, int64_t behind) {
    std::vector<float> x(8), y(8);
    std::iota(x.begin(), x.end(), first);
    const Calls before;
    const int32_t shape = 1;
    s_.repeat({&shape, 1}, [&] {
      s_.arena().take(DType::f32, behind);
      const CSpan there = s_.upload(matrix(x.data(), 2, 4));
      const Span product = s_.arena().take(DType::f32, 2, 4);
      linear_forward(s_, {.y = product, .x = there, .weights = weights});
      s_.download(matrix(y.data(), 2, 4), product);
      s_.release();
    });
    s_.synchronize();
    EXPECT_EQ(y, x);
    return (Calls() - before).graphs;
  };
  EXPECT_EQ(graphs_of(1, 1), 0u);
  EXPECT_EQ(graphs_of(2, 1), 1u);
  EXPECT_EQ(graphs_of(3, 1), 0u);
  EXPECT_EQ(graphs_of(4, 1000), 1u);
  EXPECT_EQ(graphs_of(5, 1000), 0u);
}

TEST_F(Repeat, RemembersTheLastShapes) {
  constexpr int32_t kRemembered = 32;
  run(0, 0);
  run(0, 0);
  for (int32_t shape = 1; shape < kRemembered; ++shape) run(shape, 1);
  EXPECT_EQ(run(0, 5), calls_of(0, 0, 0, 1));  // the oldest but one after this
  for (int32_t shape = 1; shape <= kRemembered; ++shape) run(shape + 100, 1);
  EXPECT_EQ(run(0, 6), calls_of(2, 2));
}

// What cannot be held back ends the recording, and nothing is lost: an arena that grows and is merged, large copies.
TEST_F(Repeat, WhatCannotBeRecordedIsQueued) {
  constexpr size_t kManyBlocks = size_t{3} << 18, kNotStaged = size_t{3} << 17;
  run(1, 0);
  EXPECT_EQ(run(1, 0, kManyBlocks / 8, 4).launches, 0u);
  run(2, 0);
  EXPECT_EQ(run(2, 0, kNotStaged).launches, 0u);
  EXPECT_EQ(run(2, 0, 5).launches, 1u);
}

TEST_F(Repeat, WorkThatFailsQueuesNothing) {
  run(1, 0);
  run(1, 0);
  const Calls before;
  std::vector<float> gone(5, -1.0f);
  const int32_t shape = 1;
  const auto failing = [&] {
    queue({1, 2, 3, 4, 5}, gone);
    throw std::invalid_argument("no");
  };
  EXPECT_THROW(s_.repeat({&shape, 1}, failing), std::invalid_argument);
  EXPECT_EQ(Calls() - before, calls_of(0, 0));
  run(2, 0);
  EXPECT_EQ(gone, std::vector<float>(5, -1.0f));
  EXPECT_EQ(run(1, 4).launches, 1u);
}

TEST_F(Repeat, WorkMayQueueNothing) {
  const int32_t shape = 1;
  for (int i = 0; i < 3; ++i) s_.repeat({&shape, 1}, [] {});
  EXPECT_EQ(run(2, 0), calls_of(2, 2));
}

TEST_F(Repeat, AFailingCallIsTold) {
  const auto failure = [&](const char* call) {
    softgpu::fail_call(call, 1, cudaErrorMemoryAllocation);
    std::string message;
    const int32_t shape = 1;
    std::vector<float> result(5);
    try {
      s_.repeat({&shape, 1}, [&] { queue({1, 2, 3, 4, 5}, result); });
    } catch (const CudaError& e) {
      message = e.what();
    }
    s_.synchronize();
    return message;
  };
  run(1, 0);
  for (const char* call :
       {"cudaStreamBeginCapture", "cudaStreamGetCaptureInfo", "cudaGraphInstantiate", "cudaGraphLaunch"}) {
    EXPECT_EQ(failure(call), std::string(call) + ": out of memory (cudaErrorMemoryAllocation)");
  }
  EXPECT_NE(failure("cudaLaunchKernel").find("launch of "), std::string::npos);
  EXPECT_EQ(run(1, 1), calls_of(2, 2, 1, 1));  // the stream is as before
  EXPECT_EQ(run(1, 2), calls_of(0, 0, 0, 1));
}

TEST_F(Repeat, CanBeSwitchedOff) {
  Stream without({.threads = 1, .target = Target::cuda, .graphs = false});
  const Calls before;
  const int32_t shape = 1;
  for (int i = 0; i < 3; ++i) {
    without.repeat({&shape, 1}, [&] { without.upload(vector(&shape, 1)); });
    without.synchronize();
    without.release();
  }
  EXPECT_EQ(Calls() - before, calls_of(0, 3));
}

// The norm's table of its vectors: copied when they are others.
TEST_F(Repeat, TablesAreCopiedWhenTheyChange) {
  const std::vector<float> three = {2, 2, 1}, five = {3, 4};
  const Tensor norm(DType::f32, 1, 1, Device::cuda);
  const CSpan of_three = s_.upload(vector(three.data(), 3)), of_five = s_.upload(vector(five.data(), 2));
  const auto copies_of = [&](const CSpan& x, float expected) {
    const Calls before;
    global_norm(s_, {.norm = norm, .vectors = {&x, 1}});
    const uint64_t copies = (Calls() - before).copies;
    float value = 0;
    s_.download(vector(&value, 1), norm);
    s_.synchronize();
    EXPECT_EQ(value, expected);
    return copies;
  };
  EXPECT_EQ(copies_of(of_three, 3), 1u);
  EXPECT_EQ(copies_of(of_three, 3), 0u);
  EXPECT_EQ(copies_of(of_five, 5), 1u);
  EXPECT_EQ(copies_of(of_three, 3), 1u);
}

}  // namespace
}  // namespace aid::test
