// What --profile shows: a table of ops, and a trace for chrome://tracing or ui.perfetto.dev.
#pragma once

#include <filesystem>
#include <string>

#include "kernels/core/stream.h"

namespace aid::train {

// What this machine reaches, measured: the roof that an op's time is held against.
struct MachinePeak {
  double flops_per_second = 0;  // a large matrix product in the run's precision
  double bytes_per_second = 0;  // reading one large block and writing another, all threads
};
MachinePeak measure_machine_peak(Stream& s, DType compute);

// A line per op, the dearest first: calls, time, its share, bytes and FLOPs with their rates, and how near the op is to
// the machine's peak: the time that the nearer roof (memory or arithmetic) would take at least, over the time it took.
std::string profile_table(const Profiler& profiler, const MachinePeak& peak);

// The events in the Trace Event Format, times in microseconds. Throws io::Error.
void write_chrome_trace(const std::filesystem::path& file, const Profiler& profiler);

// The end of a profiled run: measures the peak, writes the trace and returns the table.
std::string report_profile(const std::filesystem::path& trace_file, const Profiler& profiler, Stream& s, DType compute);

}  // namespace aid::train
