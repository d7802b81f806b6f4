// How close a kernel comes to what this machine can do. Every benchmark of an op times it through `run`:
//
//   void relu(benchmark::State& state) {
//     ...
//     bench::run(state, {.bytes = x.bytes() + y.bytes()}, [&](Stream& s) { relu(s, {.y = y, .x = x}); });
//   }
//
// and gets GB/s, GFLOP/s and "%roof": the least time that its bytes or its FLOPs take on this machine (Williams,
// Waterman and Patterson 2009, "Roofline", CACM 52(4)) over the time that it took. Working sets that stay in the caches
// may exceed 100 %.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kernels/matrix/linear.h"

namespace aid::bench {

inline Stream& stream() {
  static Stream instance;
  return instance;
}

using Clock = std::chrono::steady_clock;
inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Bytes per second, read and written, of the best of several copies of more memory than the caches hold.
inline double memory_peak() {
  static const double peak = [] {
    constexpr int64_t kBytes = int64_t{256} << 20;
    constexpr int kTries = 5;
    const Buffer from = Buffer::zeroed(kBytes), to = Buffer::zeroed(kBytes);
    double best = 0;
    for (int i = 0; i < kTries; ++i) {
      const auto begin = Clock::now();
      stream().team().ranges(kBytes, 64, [&](int64_t first, int64_t last) {
        std::memcpy(static_cast<std::byte*>(to.data()) + first, static_cast<const std::byte*>(from.data()) + first,
                    static_cast<size_t>(last - first));
      });
      best = std::max(best, 2.0 * kBytes / seconds_since(begin));
    }
    return best;
  }();
  return peak;
}

// FLOP/s of a large matrix product.
inline double matrix_peak(DType dtype) {
  static const double f32 = measure_matrix_peak(stream(), DType::f32);
  static const double bf16 = measure_matrix_peak(stream(), DType::bf16);
  return dtype == DType::bf16 ? bf16 : f32;
}

// What one call must do at least.
struct Work {
  int64_t bytes = 0;
  int64_t flops = 0;
  DType compute = DType::f32;  // which matrix peak the FLOPs are held against
};

// What the op itself says that a call does.
template <class Op>
Work work_of(const Op& op) {
  Profiler profiler;
  stream().set_profiler(&profiler);
  op(stream());
  stream().set_profiler(nullptr);
  return {.bytes = profiler.events().front().bytes, .flops = profiler.events().front().flops};
}

template <class Op>
void run(benchmark::State& state, const Work& work, Op op) {
  op(stream());
  const auto begin = Clock::now();
  for (auto _ : state) op(stream());
  const double seconds = seconds_since(begin) / static_cast<double>(state.iterations());
  const double bytes = static_cast<double>(work.bytes), flops = static_cast<double>(work.flops);
  state.counters["GB/s"] = bytes / seconds * 1e-9;
  if (work.flops > 0) state.counters["GFLOP/s"] = flops / seconds * 1e-9;
  state.counters["%roof"] = 100 * std::max(bytes / memory_peak(), flops / matrix_peak(work.compute)) / seconds;
}

template <class Op>
void run(benchmark::State& state, Op op) {
  run(state, work_of(op), op);
}

// Memory whose pages exist, full of small varied values; i32 and i64 count up.
inline Tensor filled(DType dtype, int64_t rows, int64_t cols) {
  Tensor tensor(dtype, rows, cols);
  const Span span = tensor.span();
  for (int64_t i = 0; i < span.size(); ++i) {
    const float value = static_cast<float>(i * 7919 % 2003) / 500.0f - 2.0f;
    if (dtype == DType::f32) span.as<float>()[i] = value;
    if (dtype == DType::bf16) span.as<bf16>()[i] = bf16(value);
    if (dtype == DType::i32) span.as<int32_t>()[i] = static_cast<int32_t>(i);
    if (dtype == DType::i64) span.as<int64_t>()[i] = i;
  }
  return tensor;
}

// i32 [count + 1]: 0, length, 2 length, ...
inline Tensor equal_segments(int64_t count, int64_t length) {
  Tensor first(DType::i32, 1, count + 1);
  for (int64_t i = 0; i <= count; ++i) first.span().as<int32_t>()[i] = static_cast<int32_t>(i * length);
  return first;
}

}  // namespace aid::bench
