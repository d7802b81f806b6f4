#pragma once
// What a test sees of the stand-in CUDA runtime beside CUDA's own calls: the order in which streams run, calls that
// fail on purpose, counts of calls and of host waits, and the check at the end of a test.

#include <driver_types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/softgpu/launch.h"

namespace softgpu {

// Work on a stream never runs at the call. What runs next, where no stream, event or graph orders it, is chosen by
//   latest   what was called last, and nothing before a host wait asks for it: the farthest from the order of the calls
//   (default) random   by seed, also at moments when nothing waits calls    in the order of the calls, at once: what a
//   program that happens to work sees
// The environment sets the first one: SOFTGPU_STREAMS=latest|calls|random:SEED.
enum class StreamOrder { latest, random, calls };
void set_stream_order(StreamOrder order, uint64_t seed = 0);

// How kernels run from now on: the order of warps, checks, counters. SOFTGPU_ORDER and so on (launch.h) give the first
// value.
void set_launch_options(const LaunchOptions& options);

// Called after each kernel that ran, by the thread that waited for it.
struct Launch {
  std::string kernel;  // demangled
  Dim grid, block;
  size_t dynamic_shared = 0;
  LaunchResult result;
};
void on_launch(std::function<void(const Launch&)> see);  // {}: nobody

// The nth call from now (1: the next one) of `name` does nothing but return `error`. Names are CUDA's; every way to
// launch counts as cudaLaunchKernel, "kernel" is the execution of one (a sticky error, seen by a later call), and "*"
// is any call. SOFTGPU_FAIL=cudaMalloc:3,kernel:10 does the same from the environment, with the error that CUDA would
// most likely give.
void fail_call(std::string_view name, uint64_t nth, cudaError_t error);
void clear_failures();

uint64_t calls(std::string_view name);  // since the start or reset_runtime(); "*" counts all
std::vector<std::string> host_waits();  // calls that made the host wait for the device, oldest first
void clear_host_waits();

// The device that CUDA's queries describe and that limits are taken from: an A100 (8, the default) or an H100 (9). Its
// memory is memory.h's limit.
void set_device(int major);

// Completes all work and checks what only the end shows: launch errors that nobody read, device memory and pinned
// memory that nobody freed. Whatever is wrong becomes a report (report.h).
void finish_runtime();

// Forgets streams, errors, failures, counts and memory, as a new process would. Programs and their kernels stay
// registered.
void reset_runtime();

}  // namespace softgpu
