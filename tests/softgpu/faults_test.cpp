// Each class of fault, planted: which check finds it, in every order; and correct kernels, which give no report in any.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/softgpu/device.h"

namespace softgpu {
namespace {

const LaunchOptions kOrders[] = {{.order = Order::forward},
                                 {.order = Order::reverse},
                                 {.order = Order::greedy},
                                 {.order = Order::random, .seed = 1},
                                 {.order = Order::random, .seed = 2}};

struct Case {
  const char* name;
  int finds;  // a Kind; -1: nothing
  std::function<LaunchResult(const LaunchOptions&)> run;
};
constexpr int kNothing = -1;
constexpr int k(Kind kind) { return int(kind); }

const Module& faults() {
  static const auto module = load_ptx("faults");
  return *module;
}
const Module& kernels() {
  static const auto module = load_ptx("kernels");
  return *module;
}
std::vector<float> ramp(size_t n) {
  std::vector<float> v(n);
  for (size_t i = 0; i < n; ++i) v[i] = std::sin(float(i));
  return v;
}

// y of n floats, then the kernel.
std::function<LaunchResult(const LaunchOptions&)> with_output(const char* kernel, uint32_t threads, size_t n,
                                                              uint32_t blocks = 1) {
  return [=](const LaunchOptions& o) {
    Array<float> y(std::vector<float>(n, 0.f));
    return run(faults(), kernel, {.grid = {blocks, 1, 1}, .block = {threads, 1, 1}}, o, y.get());
  };
}
LaunchResult copy(const char* kernel, uint32_t threads, size_t n, const LaunchOptions& o) {
  Array<float> x(ramp(n)), y(n);
  return run(faults(), kernel, {.block = {threads, 1, 1}}, o, x.get(), y.get(), int(n));
}
LaunchResult layer_norm(const char* kernel, const LaunchOptions& o) {
  const int rows = 3, cols = 300;
  Array<float> x(ramp(rows * cols)), gamma(std::vector<float>(cols, 1.f)), beta(std::vector<float>(cols, 0.f)),
      y(rows * cols);
  return run(kernels(), kernel, {.grid = {3, 1, 1}, .block = {128, 1, 1}}, o, x.get(), gamma.get(), beta.get(), y.get(),
             cols, 1e-5f);
}
uint16_t bf16(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return uint16_t(bits >> 16);
}
// The largest difference from a plain product, small integers as inputs: exact.
float gemm_error = 0;
LaunchResult gemm(const char* kernel, const LaunchOptions& o) {
  const int n = 128, depth = 96;
  std::vector<uint16_t> a(n * depth), b(depth * n);
  std::vector<float> fa(a.size()), fb(b.size());
  for (size_t i = 0; i < a.size(); ++i) a[i] = bf16(fa[i] = float(int(i * 7 % 13) - 6));
  for (size_t i = 0; i < b.size(); ++i) b[i] = bf16(fb[i] = float(int(i * 5 % 11) - 5));
  Array<uint16_t> da(a), db(b);
  Array<float> c(n * n);
  const LaunchResult r =
      run(kernels(), kernel, {.grid = {2, 2, 1}, .block = {128, 1, 1}}, o, da.get(), db.get(), c.get(), n, depth);
  gemm_error = 0;
  const std::vector<float> got = c.values();
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      float sum = 0;
      for (int q = 0; q < depth; ++q) sum += fa[i * depth + q] * fb[q * n + j];
      if (!(std::fabs(sum - got[i * n + j]) <= gemm_error)) gemm_error = std::fabs(sum - got[i * n + j]);
    }
  return r;
}

std::vector<Case> cases() {
  const auto last_block = [](const char* kernel) {
    return [=](const LaunchOptions& o) {
      Array<float> part(8), y(1);
      Array<unsigned> counter(std::vector<unsigned>(1, 0));
      const LaunchResult r =
          run(faults(), kernel, {.grid = {8, 1, 1}, .block = {64, 1, 1}}, o, part.get(), counter.get(), y.get());
      EXPECT_EQ(y.values()[0], 36.f) << kernel;
      return r;
    };
  };
  return {
      {"missing __syncthreads before reuse", k(Kind::race),
       [](const auto& o) { return layer_norm("layer_norm_no_barrier_before_reuse", o); }},
      {"missing __syncthreads before read", k(Kind::race),
       [](const auto& o) { return layer_norm("layer_norm_no_barrier_before_read", o); }},
      {"LayerNorm", kNothing, [](const auto& o) { return layer_norm("layer_norm", o); }},
      {"mma GEMM", kNothing, [](const auto& o) { return gemm("gemm", o); }},
      {"cp.async wait too lax", k(Kind::in_flight), [](const auto& o) { return gemm("gemm_wait_too_lax", o); }},
      {"missing __syncthreads before refill", k(Kind::race),
       [](const auto& o) { return gemm("gemm_no_barrier_before_refill", o); }},
      {"missing __align__(16)", k(Kind::misaligned), [](const auto& o) { return gemm("gemm_unaligned_shared", o); }},
      {"missing __syncwarp", k(Kind::race), with_output("missing_syncwarp", 32, 32)},
      {"with __syncwarp", kNothing, with_output("with_syncwarp", 32, 32)},
      {"shared index past the array", k(Kind::out_of_bounds),
       [](const auto& o) {
         Array<float> y(32);
         return run(faults(), "shared_past_the_end", {}, o, y.get(), 64);
       }},
      {"global past the end", k(Kind::out_of_bounds), [](const auto& o) { return copy("copy", 128, 100, o); }},
      {"copy with a bound", kNothing, [](const auto& o) { return copy("copy_checked", 128, 100, o); }},
      {"negative index", k(Kind::out_of_bounds),
       [](const auto& o) {
         Array<float> x(ramp(32)), y(32);
         return run(faults(), "negative_index", {}, o, x.get(), y.get());
       }},
      {"32-bit index overflow", k(Kind::host_pointer),
       [](const auto& o) {
         Array<float> x(ramp(32)), y(32);
         return run(faults(), "overflowing_index", {}, o, x.get(), y.get(), 70000, 40000);
       }},
      {"host pointer", k(Kind::host_pointer),
       [](const auto& o) {
         std::vector<float> x(32);
         Array<float> y(32);
         return run(faults(), "copy", {}, o, x.data(), y.get(), 32);
       }},
      {"null pointer", k(Kind::host_pointer),
       [](const auto& o) {
         Array<float> y(32);
         return run(faults(), "copy", {}, o, static_cast<float*>(nullptr), y.get(), 32);
       }},
      {"use after free", k(Kind::use_after_free),
       [](const auto& o) {
         float* x = static_cast<float*>(allocate(128, "x"));
         free(x);
         Array<float> y(32);
         return run(faults(), "copy", {}, o, x, y.get(), 32);
       }},
      {"misaligned vector load", k(Kind::misaligned),
       [](const auto& o) {
         Array<float> x(ramp(32)), y(32);
         return run(faults(), "vector_load", {}, o, x.get() + 1, y.get());
       }},
      {"uninitialised shared", k(Kind::uninitialised), with_output("uninitialised_shared", 64, 64)},
      {"uninitialised global", k(Kind::uninitialised),
       [](const auto& o) {
         Array<float> x(32), y(32);
         return run(faults(), "copy", {}, o, x.get(), y.get(), 32);
       }},
      {"two blocks write one address", k(Kind::race), with_output("two_blocks_one_address", 32, 1, 4)},
      {"a block reads what another writes", k(Kind::race),
       [](const auto& o) {
         Array<float> y(std::vector<float>(4, 0.f)), z(4);
         return run(faults(), "block_reads_anothers", {.grid = {4, 1, 1}}, o, y.get(), z.get());
       }},
      {"last block without __threadfence", k(Kind::race), last_block("last_block_without_fence")},
      {"last block with __threadfence", kNothing, last_block("last_block_with_fence")},
      {"divergent barrier", k(Kind::divergent_barrier), with_output("divergent_barrier", 64, 64)},
      {"return before a barrier", k(Kind::divergent_barrier), with_output("return_before_barrier", 64, 64)},
      {"deadlock", k(Kind::deadlock), with_output("deadlock", 64, 64)},
      {"lane ended before a full-mask shuffle", k(Kind::wrong_mask), with_output("lane_ended", 32, 32)},
      {"mask lacks the caller", k(Kind::wrong_mask), with_output("mask_lacks_caller", 32, 32)},
      {"shuffle from a lane outside the mask", k(Kind::wrong_mask), with_output("shuffle_from_outside", 32, 32)},
      {"failed assert", k(Kind::launch),
       [](const auto& o) {
         Array<float> y(32);
         return run(faults(), "failed_assert", {}, o, y.get(), 31);
       }},
      {"assert that holds", kNothing,
       [](const auto& o) {
         Array<float> y(32);
         return run(faults(), "failed_assert", {}, o, y.get(), 32);
       }},
      {"trap", k(Kind::launch), with_output("trap", 32, 32)},
      {"index past a local array", k(Kind::out_of_bounds),
       [](const auto& o) {
         std::vector<float> values(32, 1.f);
         values[1] = 100;
         Array<float> y(values);
         return run(faults(), "local_past_the_end", {.block = {1, 1, 1}}, o, y.get(), 8);
       }},
      {"atomic and plain access", k(Kind::race),
       [](const auto& o) {
         Array<int> y(std::vector<int>(1, 0)), z(1);
         return run(faults(), "atomic_and_plain", {.block = {64, 1, 1}}, o, y.get(), z.get());
       }},
      {"read of a copy in flight", k(Kind::in_flight),
       [](const auto& o) {
         Array<float> x(ramp(128)), y(32);
         return run(faults(), "read_in_flight", {}, o, x.get(), y.get());
       }},
      {"dynamic shared past the end", k(Kind::out_of_bounds),
       [](const auto& o) {
         Array<float> y(32);
         return run(faults(), "dynamic_shared", {.shared = 128}, o, y.get(), 1);
       }},
      {"dynamic shared", kNothing,
       [](const auto& o) {
         Array<float> y(32);
         return run(faults(), "dynamic_shared", {.shared = 128}, o, y.get(), 0);
       }},
      {"too much shared memory", k(Kind::launch),
       [](const auto& o) {
         Array<float> y(32);
         return run(faults(), "dynamic_shared", {.shared = max_shared_per_block + 1}, o, y.get(), 0);
       }},
      {"too many threads", k(Kind::launch), with_output("with_syncwarp", 1025, 32)},
      {"named barriers", kNothing, with_output("named_barrier", 128, 64)},
      {"calls", kNothing, with_output("calls", 64, 64)},
  };
}

TEST(Faults, EachIsFoundByItsCheckInEveryOrder) {
  for (const Case& c : cases())
    for (const LaunchOptions& options : kOrders) {
      clear_reports();
      c.run(options);
      const std::string where =
          std::string(c.name) + ", order " + std::to_string(int(options.order)) + "\n" + reports_text();
      if (c.finds == kNothing) {
        EXPECT_TRUE(reports().empty()) << where;
        continue;
      }
      bool found = false;
      for (const Report& r : reports()) {
        found = found || int(r.kind) == c.finds;
        const bool refused = r.kind == Kind::launch && r.file.empty();  // before any line ran
        EXPECT_TRUE(refused || (r.file.ends_with(".cu") && r.line > 0)) << where;
      }
      EXPECT_TRUE(found) << where;
    }
  clear_reports();
}

// What no check sees, the numbers show.
TEST(Faults, SwappedFragmentGivesWrongNumbers) {
  for (const LaunchOptions& options : kOrders) {
    gemm("gemm", options);
    EXPECT_EQ(gemm_error, 0.f);
    gemm("gemm_swapped_fragment", options);
    EXPECT_GT(gemm_error, 1.f);
  }
  EXPECT_EQ(reports_text(), "");
}

// A copy that was waited for is in the waiting thread's hands only. Which of the two checks sees it depends on who
// comes first.
TEST(Faults, WaitWithoutBarrier) {
  for (const LaunchOptions& options : kOrders) {
    clear_reports();
    Array<float> x(ramp(256)), y(64);
    run(faults(), "wait_without_barrier", {.block = {64, 1, 1}}, options, x.get(), y.get());
    EXPECT_FALSE(reports().empty());
  }
  clear_reports();
}

TEST(Faults, LeaksAreReported) {
  clear_reports();
  const size_t before = live_allocations().size();
  void* p = allocate(100, "a leak");
  EXPECT_EQ(report_leaks(), before + 1);
  EXPECT_NE(reports_text().find("a leak, 100 bytes"), std::string::npos) << reports_text();
  EXPECT_TRUE(free(p));
  clear_reports();
  EXPECT_FALSE(free(p));
  EXPECT_NE(reports_text().find("double free"), std::string::npos);
  clear_reports();
}

TEST(Faults, OrdersAndThreadsGiveTheSameBits) {
  std::vector<float> first;
  for (LaunchOptions options : kOrders)
    for (const int threads : {1, 3}) {
      options.threads = threads;
      const int rows = 7, cols = 333;
      Array<float> x(ramp(rows * cols)), gamma(ramp(cols)), beta(ramp(cols)), y(rows * cols);
      run(kernels(), "layer_norm", {.grid = {7, 1, 1}, .block = {96, 1, 1}}, options, x.get(), gamma.get(), beta.get(),
          y.get(), cols, 1e-5f);
      if (first.empty()) first = y.values();
      EXPECT_EQ(y.values(), first);
    }
  EXPECT_EQ(reports_text(), "");
}

TEST(Faults, UnknownInstructionFailsAtLoad) {
  const char* ptx =
      ".version 9.0\n.target sm_90a\n.address_size 64\n.visible .entry k()\n{\n.loc 1 7 "
      "0\nwgmma.fence.sync.aligned;\nret;\n}\n.file 1 \"a.cu\"\n";
  try {
    Module::load(ptx, "module");
    FAIL() << "loaded";
  } catch (const LoadError& e) {
    EXPECT_NE(std::string(e.what()).find("a.cu:7: unsupported instruction wgmma.fence.sync.aligned (PTX line 7"),
              std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace softgpu
