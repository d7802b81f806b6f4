// What BETO's kernels ask of a GPU and the least time that it takes, without a GPU: counted on the software GPU
// (tests/gpumodel/step.h), held against published figures (tests/gpumodel/cards.h).
//   gpu_model [--batch N] [--length N] [--precision {bf16|f32}] [--work {infer|train}] [--gap US] [--lines KERNEL]
//   gpu_model --table FILE
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>

#include "tests/gpumodel/cards.h"
#include "tests/gpumodel/resources.h"
#include "tests/gpumodel/step.h"

namespace aid::gpumodel {
namespace {

struct Options {
  std::vector<std::string> work = {"infer", "train"};
  std::string precision = "bf16", lines, table;
  int64_t batch = 32, length = 128;
  double gap = 1;  // µs between two kernels
};

// The launches of one kernel within one op, of all calls.
struct KernelSum {
  int64_t launches = 0;
  softgpu::LaunchResult counted;
  std::vector<Bound> bounds;  // by card
};
struct OpSum {
  int64_t calls = 0, bytes = 0, flops = 0;
  uint64_t moved = 0;
  double seconds = 0;  // of its kernels on the card that the list is sorted by
  std::map<std::string, KernelSum> kernels;
};

// Totals of a step on one card, in seconds.
struct Totals {
  double products = 0, kernels = 0;
};
struct StepSum {
  std::map<std::string, OpSum> ops;
  std::vector<Totals> totals;  // by card
  int64_t launches = 0, products = 0;
  double product_flops = 0;
};

constexpr size_t kSortedBy = 1;  // H100

StepSum sum_of(const std::vector<Op>& ops, bool f32) {
  StepSum step;
  step.totals.resize(cards().size());
  for (const Op& op : ops) {
    OpSum& sum = step.ops[op.name];
    ++sum.calls;
    sum.bytes += op.bytes;
    sum.flops += op.flops;
    if (op.is_product()) {
      ++step.products;
      step.product_flops += static_cast<double>(op.flops);
    }
    for (size_t c = 0; op.is_product() && c < cards().size(); ++c) {
      step.totals[c].products +=
          product_bound(cards()[c], static_cast<double>(op.flops), static_cast<double>(op.bytes), f32).seconds;
    }
    for (const softgpu::Launch& launch : op.launches) {
      ++step.launches;
      KernelSum& kernel = sum.kernels[short_name(launch.kernel)];
      kernel.bounds.resize(cards().size());
      ++kernel.launches;
      for (const auto& [line, counters] : launch.result.lines) kernel.counted.lines[line] += counters;
      kernel.counted.traffic.read += launch.result.traffic.read;
      kernel.counted.traffic.written += launch.result.traffic.written;
      sum.moved += launch.result.traffic.read + launch.result.traffic.written;
      for (size_t c = 0; c < cards().size(); ++c) {
        const Bound bound = bound_of(cards()[c], launch.result);
        kernel.bounds[c].seconds += bound.seconds;
        kernel.bounds[c].by = bound.by;
        step.totals[c].kernels += bound.seconds;
        if (c == kSortedBy) sum.seconds += bound.seconds;
      }
    }
  }
  return step;
}

double ratio(uint64_t a, uint64_t b) { return b == 0 ? 1 : static_cast<double>(a) / static_cast<double>(b); }

void print_kernels(const StepSum& step) {
  std::printf(
      "\nsectors: of 32 bytes, for each request of a warp, and how many times the fewest; passes: of shared memory, "
      "times\n"
      "the fewest; instructions: PTX, of warps, in millions, by pipe; bound: the least time of all launches, and what "
      "sets it\n\n"
      "%-34s %6s %9s %9s %6s\n",
      "op", "calls", "least MB", "moved MB", "ratio");
  std::vector<const std::pair<const std::string, OpSum>*> sorted;
  for (const auto& op : step.ops) {
    if (!op.second.kernels.empty()) sorted.push_back(&op);
  }
  std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->second.seconds > b->second.seconds; });
  for (const auto* entry : sorted) {
    const OpSum& op = entry->second;
    const bool product = entry->first.starts_with("linear");  // whose least bytes are the library's to move
    std::printf("%-34s %6ld %9.1f %9.1f ", entry->first.c_str(), op.calls, static_cast<double>(op.bytes) / 1e6,
                static_cast<double>(op.moved) / 1e6);
    product ? std::printf("%6s\n", "-") : std::printf("%6.2f\n", ratio(op.moved, static_cast<uint64_t>(op.bytes)));
    for (const auto& [name, kernel] : op.kernels) {
      const softgpu::LineCounters c = kernel.counted.total();
      std::printf("  %s x%ld\n    sectors %.1f (%.2f)  passes %.2f  instructions", name.c_str(), kernel.launches,
                  ratio(c.global_sectors, c.global_requests), ratio(c.global_sectors, c.global_ideal_sectors),
                  ratio(c.shared_passes, c.shared_ideal_passes));
      for (size_t p = 0; p < softgpu::kPipes; ++p) {
        if (c.by_pipe[p] > 0 && softgpu::Pipe(p) != softgpu::Pipe::none) {
          std::printf(" %s %.2f", softgpu::name(softgpu::Pipe(p)), static_cast<double>(c.by_pipe[p]) / 1e6);
        }
      }
      if (c.mma_flops > 0) std::printf("  mma %.1f GFLOP", static_cast<double>(c.mma_flops) / 1e9);
      std::printf("\n    bound");
      for (size_t i = 0; i < cards().size(); ++i) {
        std::printf("  %s %.1f us (%s)", cards()[i].name, kernel.bounds[i].seconds * 1e6, kernel.bounds[i].by);
      }
      std::printf("\n");
    }
  }
}

void print_row(const char* what, const std::vector<double>& values, const char* format) {
  std::printf("  %-58s", what);
  for (const double value : values) std::printf(format, value);
  std::printf("\n");
}

void print_step(const StepSum& step, const Options& options, double aim) {
  const double gaps = static_cast<double>(step.launches + step.products) * options.gap * 1e-6;
  std::vector<double> share, products, kernels, lost, total, texts;
  std::printf("\nThe whole step%46s", "");
  for (size_t c = 0; c < cards().size(); ++c) {
    std::printf("%9s", cards()[c].name);
    share.push_back(cards()[c].library_share * 100);
    products.push_back(step.totals[c].products * 1e3);
    kernels.push_back(step.totals[c].kernels * 1e3);
    lost.push_back(gaps * 1e3);
    total.push_back(products.back() + kernels.back() + lost.back());
    texts.push_back(static_cast<double>(options.batch) / total.back() * 1e3);
  }
  char text[128];
  std::printf("\n");
  std::snprintf(text, sizeof text, "%ld products, %.1f GFLOP, at this per cent of the peak", step.products,
                step.product_flops / 1e9);
  print_row(text, share, "%9.0f");
  print_row("  ms", products, "%9.3f");
  std::snprintf(text, sizeof text, "%ld launches of our kernels at their bounds, ms", step.launches);
  print_row(text, kernels, "%9.3f");
  std::snprintf(text, sizeof text, "%.1f us between one and the next, ms", options.gap);
  print_row(text, lost, "%9.3f");
  print_row("sum, ms", total, "%9.3f");
  print_row("texts/s at most", texts, "%9.0f");
  if (aim > 0) std::printf("  aim on an H100 at 128 tokens: %.0f texts/s, %.0f us a text\n", aim, 1e6 / aim);
}

// The longest launch of each kernel with that in its name; returns how many kernels there are.
size_t print_lines(const std::vector<Op>& ops, const std::string& kernel) {
  std::map<std::string, softgpu::LaunchResult> found;
  for (const Op& op : ops) {
    for (const softgpu::Launch& launch : op.launches) {
      if (short_name(launch.kernel).find(kernel) == std::string::npos) continue;
      softgpu::LaunchResult& longest = found[short_name(launch.kernel)];
      if (launch.result.instructions > longest.instructions) longest = launch.result;
    }
  }
  for (const auto& [name, result] : found) {
    std::printf("\n%s, its longest launch: %.3f MB read, %.3f MB written\n%12s %9s %9s %8s %8s %8s %8s %6s  line\n",
                name.c_str(), static_cast<double>(result.traffic.read) / 1e6,
                static_cast<double>(result.traffic.written) / 1e6, "instructions", "requests", "sectors", "fewest",
                "shared", "passes", "fewest", "mma");
    for (const auto& [line, c] : result.lines) {
      if (c.instructions == 0) continue;
      std::printf("%12lu %9lu %9lu %8lu %8lu %8lu %8lu %6lu  %s:%d\n", c.instructions, c.global_requests,
                  c.global_sectors, c.global_ideal_sectors, c.shared_requests, c.shared_passes, c.shared_ideal_passes,
                  c.mma, line.first.c_str(), line.second);
    }
  }
  return found.size();
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("What BETO's kernels ask of a GPU, and the least time that it takes");
  app.add_option("--work", options.work)->check(CLI::IsMember({"infer", "train"}));
  app.add_option("--precision", options.precision)->check(CLI::IsMember({"bf16", "f32"}));
  app.add_option("--batch", options.batch)->check(CLI::Range(1, 512));
  app.add_option("--length", options.length)->check(CLI::Range(2, 512));
  app.add_option("--gap", options.gap, "microseconds that are lost between two kernels")->check(CLI::NonNegativeNumber);
  app.add_option("--lines", options.lines, "a part of a kernel's name: its counters by source line instead");
  app.add_option("--table", options.table, "write registers, shared memory and occupancy there instead");
  CLI11_PARSE(app, argc, argv);
  if (!options.table.empty()) {
    std::ofstream(options.table) << to_text(current_table());
    return 0;
  }
  const bool f32 = options.precision == "f32";
  size_t found = 0;
  for (const std::string& work : options.work) {
    const bool training = work == "train";
    const std::vector<Op> ops = count_step({.compute = f32 ? DType::f32 : DType::bf16,
                                            .training = training,
                                            .batch = options.batch,
                                            .length = options.length,
                                            .sampled_blocks = 64});
    std::printf(
        "\n== BETO (12 layers, hidden 768, 12 heads, FFN 3072, vocabulary 31002), %s, %s, %ld texts of %ld tokens\n",
        training ? "training with dropout" : "inference", options.precision.c_str(), options.batch, options.length);
    if (!options.lines.empty()) {
      found += print_lines(ops, options.lines);
      continue;
    }
    const StepSum step = sum_of(ops, f32);
    print_kernels(step);
    print_step(step, options, f32 || options.length != 128 ? 0 : training ? 5400 : 16000);
  }
  if (!options.lines.empty()) {
    if (found == 0)
      throw std::runtime_error("--lines " + options.lines + ": no kernel of these steps has that in its name");
    return 0;
  }
  std::printf("\nFigures:");
  for (const Card& card : cards()) std::printf(" %s: %s.", card.name, card.source);
  std::printf("\nBounds are no prediction, and the products' share of the peak is an assumption: docs/profiling.md.\n");
  return 0;
}

}  // namespace
}  // namespace aid::gpumodel

int main(int argc, char** argv) {
  try {
    return aid::gpumodel::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "gpu_model: " << error.what() << "\n";
    return 1;
  }
}
