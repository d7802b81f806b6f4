#include "train/console/profile_report.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <vector>

#include "io/file.h"
#include "kernels/elements/cast.h"
#include "kernels/matrix/linear.h"

namespace aid::train {
namespace {

struct OpTotal {
  std::string op;
  int64_t calls = 0, ns = 0, bytes = 0, flops = 0;
};

std::vector<OpTotal> totals_of(const Profiler& profiler) {
  std::map<std::string, OpTotal> by_op;
  for (const ProfileEvent& event : profiler.events()) {
    OpTotal& total = by_op[event.op];
    total.op = event.op;
    ++total.calls;
    total.ns += event.end_ns - event.begin_ns;
    total.bytes += event.bytes;
    total.flops += event.flops;
  }
  std::vector<OpTotal> totals;
  totals.reserve(by_op.size());
  for (const auto& [op, total] : by_op) totals.push_back(total);
  std::stable_sort(totals.begin(), totals.end(), [](const OpTotal& a, const OpTotal& b) { return a.ns > b.ns; });
  return totals;
}

// Events lie within one another where an op calls another; the time of the run counts once.
int64_t covered_ns(const Profiler& profiler) {
  std::vector<std::pair<int64_t, int64_t>> intervals;
  for (const ProfileEvent& event : profiler.events()) intervals.emplace_back(event.begin_ns, event.end_ns);
  std::sort(intervals.begin(), intervals.end());
  int64_t covered = 0, reached = 0;
  for (const auto& [begin, end] : intervals) {
    covered += std::max<int64_t>(0, end - std::max(begin, reached));
    reached = std::max(reached, end);
  }
  return covered;
}

std::string line(const char* format, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

constexpr const char* kRow = "%-28s %8lld %11.3f %6.1f%% %10.1f %9.1f %12.1f %9.1f %7.1f%%\n";

std::string row(const OpTotal& total, int64_t run_ns, const MachinePeak& peak) {
  const double seconds = static_cast<double>(total.ns) * 1e-9;
  const double bytes = static_cast<double>(total.bytes), flops = static_cast<double>(total.flops);
  const double least = std::max(bytes / peak.bytes_per_second, flops / peak.flops_per_second);
  const auto rate = [&](double amount) { return seconds > 0 ? amount / seconds * 1e-9 : 0.0; };
  return line(kRow, total.op.c_str(), static_cast<long long>(total.calls), seconds * 1e3,
              run_ns > 0 ? 100.0 * static_cast<double>(total.ns) / static_cast<double>(run_ns) : 0.0, bytes * 1e-6,
              rate(bytes), flops * 1e-6, rate(flops), seconds > 0 ? 100.0 * least / seconds : 0.0);
}

// A JSON string; names of ops are C identifiers and spaces.
std::string quoted(const char* text) { return "\"" + std::string(text) + "\""; }

}  // namespace

MachinePeak measure_machine_peak(Stream& s, DType compute) {
  constexpr int64_t kBytes = int64_t{128} << 20;  // several times any cache
  constexpr int kRepeats = 5;
  const Tensor from = Tensor::zeros(DType::f32, 1, kBytes / 4, s.device());
  const Tensor to = Tensor::zeros(DType::f32, 1, kBytes / 4, s.device());
  double best_seconds = 1e30;
  for (int i = 0; i < kRepeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    cast(s, {.y = to, .x = from});
    s.synchronize();
    best_seconds =
        std::min(best_seconds, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return {.flops_per_second = measure_matrix_peak(s, compute),
          .bytes_per_second = 2.0 * static_cast<double>(kBytes) / best_seconds};
}

std::string profile_table(const Profiler& profiler, const MachinePeak& peak) {
  const std::vector<OpTotal> totals = totals_of(profiler);
  const int64_t run_ns = covered_ns(profiler);
  std::string table =
      line("measured peak: %.0f GFLOP/s, %.1f GB/s\n", peak.flops_per_second * 1e-9, peak.bytes_per_second * 1e-9);
  table += line("%-28s %8s %11s %7s %10s %9s %12s %9s %8s\n", "op", "calls", "ms", "time", "MB", "GB/s", "MFLOP",
                "GFLOP/s", "of peak");
  for (const OpTotal& total : totals) table += row(total, run_ns, peak);
  return table + line("%-28s %8zu %11.3f\n", "all", profiler.events().size(), static_cast<double>(run_ns) * 1e-6);
}

void write_chrome_trace(const std::filesystem::path& file, const Profiler& profiler) {
  io::AtomicFile out(file);
  std::string text = "{\"traceEvents\":[";
  const char* separator = "\n";
  for (const ProfileEvent& event : profiler.events()) {
    text += separator + line(
                            "{\"name\":%s,\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%.3f,\"dur\":%.3f,\"args\":{"
                            "\"bytes\":%lld,\"flops\":%lld}}",
                            quoted(event.op).c_str(), static_cast<double>(event.begin_ns) * 1e-3,
                            static_cast<double>(event.end_ns - event.begin_ns) * 1e-3,
                            static_cast<long long>(event.bytes), static_cast<long long>(event.flops));
    separator = ",\n";
    if (text.size() > (size_t{1} << 20)) {
      out.write(text);
      text.clear();
    }
  }
  out.write(text + "\n],\"displayTimeUnit\":\"ms\"}\n");
  out.commit();
}

std::string report_profile(const std::filesystem::path& trace_file, const Profiler& profiler, Stream& s,
                           DType compute) {
  write_chrome_trace(trace_file, profiler);
  s.set_profiler(nullptr);  // the measurement is not part of the run
  return profile_table(profiler, measure_machine_peak(s, compute));
}

}  // namespace aid::train
