// The roof of ops that are bound by memory: what a copy of the same footprint reaches on the same threads.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

#include "kernels/core/stream.h"

namespace aid::bench {

// Bytes per second, read and written, of memcpy between two halves of `footprint` bytes. Measured once per size.
inline double copy_bandwidth(Stream& s, int64_t footprint) {
  static std::map<int64_t, double> measured;
  double& bandwidth = measured[footprint];
  if (bandwidth > 0) return bandwidth;
  const int64_t half = footprint / 2;
  const Buffer from = Buffer::zeroed(static_cast<size_t>(half)), to = Buffer::zeroed(static_cast<size_t>(half));
  const int64_t repeats = 1 + (int64_t{1} << 30) / footprint;
  for (int round = 0; round < 5; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < repeats; ++i) {
      s.team().ranges(half, 4096, [&](int64_t first, int64_t last) {
        std::memcpy(static_cast<char*>(to.data()) + first, static_cast<const char*>(from.data()) + first,
                    static_cast<size_t>(last - first));
      });
      benchmark::ClobberMemory();
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    bandwidth = std::max(bandwidth, static_cast<double>(2 * half * repeats) / seconds.count());
  }
  return bandwidth;
}

// Counters of a finished benchmark: bytes/s, FLOP/s and the fraction of the copy's bandwidth. `bytes` and `flops` are
// one iteration's; its operands are taken to be as large as what it moves.
inline void report(benchmark::State& state, Stream& s, int64_t bytes, int64_t flops) {
  const auto per_iteration = [](double value) {
    return benchmark::Counter(value, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["bytes/s"] = per_iteration(static_cast<double>(bytes));
  state.counters["FLOP/s"] = per_iteration(static_cast<double>(flops));
  state.counters["of_copy"] = per_iteration(static_cast<double>(bytes) / copy_bandwidth(s, bytes));
}

// Runs op until the benchmark has enough, then reports what the op itself says that it moved and computed.
template <class Op>
void run(benchmark::State& state, Stream& s, const Op& op) {
  Profiler profiler;
  s.set_profiler(&profiler);
  op();
  s.set_profiler(nullptr);
  for (auto _ : state) op();
  const ProfileEvent& event = profiler.events().front();
  report(state, s, event.bytes, event.flops);
}

// Memory whose pages exist, filled with small varied values.
inline Tensor filled(DType dtype, int64_t rows, int64_t cols) {
  Tensor tensor = Tensor::zeros(dtype, rows, cols);
  const Span span = tensor.span();
  for (int64_t i = 0; i < span.size(); ++i) {
    const float value = static_cast<float>(i * 7919 % 2003) / 500.0f - 2.0f;
    if (dtype == DType::f32) span.as<float>()[i] = value;
    if (dtype == DType::bf16) span.as<bf16>()[i] = bf16(value);
    if (dtype == DType::i32) span.as<int32_t>()[i] = static_cast<int32_t>(i);
  }
  return tensor;
}

}  // namespace aid::bench
