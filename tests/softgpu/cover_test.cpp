// The machine's arithmetic against the processor's, family by family: the same functions compiled by the host's
// compiler and by nvcc.
#include "tests/softgpu/cover.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <random>

#include "tests/softgpu/device.h"
#include "tests/softgpu/numbers.h"

namespace softgpu {
namespace {

const Module& module() {
  static const auto m = load_ptx("cover");
  return *m;
}

TEST(Cover, IntegersAreExact) {
  std::mt19937 random(5);
  const int n = 3000;
  std::vector<int> a(n), b(n);
  for (int i = 0; i < n; ++i) {
    a[i] = i % 3 ? int(random()) : int(random() % 2000) - 1000;
    b[i] = i % 5 ? int(random() % 4000) - 2000 : int(random());
  }
  Array<int> da(a), db(b);
  Array<int64_t> r(size_t(n) * cover::kIntegers);
  expect_clean(
      run(module(), "integers", {.grid = {24, 1, 1}, .block = {128, 1, 1}}, {}, da.get(), db.get(), r.get(), n));
  const std::vector<int64_t> got = r.values();
  for (int i = 0; i < n; ++i) {
    int64_t want[cover::kIntegers];
    cover::integers(a[i], b[i], want);
    for (int k = 0; k < cover::kIntegers; ++k)
      ASSERT_EQ(got[size_t(i) * cover::kIntegers + k], want[k]) << "function " << k << " of " << a[i] << ", " << b[i];
  }
}

// CUDA's maths functions are its own polynomials: a few units in the last place from the C library's. fmodf and the
// like are exact.
TEST(Cover, FloatsAreWithinFiveUlps) {
  std::mt19937 random(6);
  const int n = 3000;
  std::vector<float> a(n), b(n);
  for (int i = 0; i < n; ++i) {
    a[i] = (int(random() % 20001) - 10000) * 1e-3f;
    b[i] = (int(random() % 20001) - 10000) * 1.7e-4f + 1e-5f;
  }
  Array<float> da(a), db(b), r(size_t(n) * cover::kFloats);
  expect_clean(run(module(), "floats", {.grid = {24, 1, 1}, .block = {128, 1, 1}}, {}, da.get(), db.get(), r.get(), n));
  const std::vector<float> got = r.values();
  for (int i = 0; i < n; ++i) {
    float want[cover::kFloats];
    cover::floats(a[i], b[i], want);
    for (int k = 0; k < cover::kFloats; ++k)
      ASSERT_NEAR(got[size_t(i) * cover::kFloats + k], want[k], 6e-7f * std::fabs(want[k]) + 1e-7f)
          << "function " << k << " of " << a[i] << ", " << b[i];
  }
}

TEST(Cover, BitsAreExact) {
  std::mt19937 random(7);
  std::vector<uint32_t> a(32), b(32);
  for (uint32_t& x : a) x = random();
  for (uint32_t& x : b) x = random() >> random() % 32;
  a[3] = 0;
  Array<uint32_t> da(a), db(b), r(32 * 24);
  expect_clean(run(module(), "bits", {}, {}, da.get(), db.get(), r.get()));
  const std::vector<uint32_t> got = r.values();
  const int table[8] = {1, -2, 3, -4, 5, -6, 7, -8};
  for (int t = 0; t < 32; ++t) {
    const uint32_t x = a[t], y = b[t], *o = &got[t * 24];
    const uint64_t both = uint64_t(y) << 32 | x;
    const auto byte = [&](uint32_t s) { return uint32_t(both >> 8 * (s & 7)) & 255; };
    const auto permute = [&](uint32_t s) {
      return byte(s) | byte(s >> 4) << 8 | byte(s >> 8) << 16 | byte(s >> 12) << 24;
    };
    uint32_t reversed = 0;
    int32_t dot = 7;
    uint32_t unsigned_dot = 7;
    for (int k = 0; k < 32; ++k) reversed |= (x >> k & 1) << (31 - k);
    for (int k = 0; k < 4; ++k) {
      dot += int8_t(x >> 8 * k) * int8_t(y >> 8 * k);
      unsigned_dot += uint8_t(x >> 8 * k) * uint8_t(y >> 8 * k);
    }
    const uint32_t z = x * y, at = y & 31;
    const uint32_t field = at + 9 >= 32 ? ~0u << at : 0x1ffu << at;
    uint32_t third = ~0u;
    for (int k = 0, n = 0; k < 32; ++k)
      if (x >> k & 1 && ++n == 3) {
        third = uint32_t(k);
        break;
      }
    const auto clamp = [](int v) { return uint32_t(std::clamp(v, 0, 255)); };
    const uint32_t want[] = {uint32_t(std::popcount(x)),
                             uint32_t(std::countl_zero(x)),
                             x ? uint32_t(std::countr_zero(x)) + 1 : 0,
                             reversed,
                             permute(0x6420),
                             permute(x & 0x7777),
                             uint32_t(both << (x & 31) >> 32),
                             uint32_t(both >> (y & 31)),
                             uint32_t(dot),
                             unsigned_dot,
                             uint32_t(uint64_t(x) * y >> 32),
                             uint32_t(uint64_t(int64_t(int32_t(x)) * int32_t(y)) >> 32),
                             uint32_t(std::popcount(both)),
                             uint32_t(table[x & 7]),
                             uint32_t(int32_t(uint32_t(int64_t(int32_t(x)) >> at) << 25) >> 25),
                             (y & ~field) | ((x << at) & field),
                             (x & y) | (x & z) | (y & z),
                             third,
                             x ? uint32_t(31 - std::countl_zero(x)) : ~0u,
                             (x > y ? x - y : y - x) + 5,
                             3u << 16 | clamp(int(x) >> 20) << 8 | clamp(int(y) >> 23),
                             4,
                             x > y,
                             40};
    for (int k = 0; k < 24; ++k) EXPECT_EQ(o[k], want[k]) << "result " << k << " of " << x << ", " << y;
  }
}

TEST(Cover, HalvesAndDirectedRounding) {
  std::vector<float> a(32), b(32);
  for (int i = 0; i < 32; ++i) {
    a[i] = std::sin(float(i)) * 3;
    b[i] = std::cos(float(i) * 1.3f) + 0.01f;
  }
  Array<float> da(a), db(b), r(32 * 12);
  expect_clean(run(module(), "halves", {}, {}, da.get(), db.get(), r.get()));
  const std::vector<float> got = r.values();
  for (int t = 0; t < 32; ++t) {
    const float x = a[t], y = b[t], *o = &got[t * 12];
    const auto bf = [](double v) { return to_float(round_bfloat(v)); };
    const auto h = [](double v) { return to_float(round_half(v)); };
    EXPECT_EQ(o[0], bf(x));
    EXPECT_EQ(o[1], h(y));
    EXPECT_EQ(o[2], bf(double(bf(x)) * bf(y)));
    EXPECT_EQ(o[3], h(double(h(x)) + h(y)));
    EXPECT_EQ(o[4], bf(x));
    EXPECT_EQ(o[5], bf(y));
    EXPECT_EQ(o[6], h(double(h(x)) * h(y) + 1));
    EXPECT_EQ(o[7], h(double(h(y)) * h(x) + 2));
    EXPECT_LE(std::fabs(o[8]), std::fabs(double(x) + y));
    EXPECT_GE(double(o[9]), double(x) * y);
    EXPECT_LE(double(o[10]) * (y > 0 ? 1 : -1), double(x) / y * (y > 0 ? 1 : -1) + 1e-6);
    EXPECT_EQ(o[11], std::clamp(x, 0.f, 1.f));
  }
}

TEST(Cover, WarpsAndAtomics) {
  const int blocks = 4, threads = 256, n = blocks * threads;
  std::mt19937 random(8);
  std::vector<int> x(n);
  for (int& v : x) v = int(random() % 2000) - 900;
  Array<int> dx(x), r(n * 20);
  for (const Order order : {Order::forward, Order::reverse, Order::random}) {
    Array<int> fresh(std::vector<int>(8, 0));
    Array<float> total(std::vector<float>(1, 0.f));
    expect_clean(run(module(), "warps", {.grid = {blocks, 1, 1}, .block = {threads, 1, 1}}, {.order = order}, dx.get(),
                     r.get(), fresh.get(), total.get()));
    const std::vector<int> got = r.values(), c = fresh.values();
    int64_t quarters = 0, top = INT32_MIN;
    int bits = 0;
    for (const int v : x) {
      quarters += v & 3;
      top = std::max<int64_t>(top, v);
      bits ^= v;
    }
    EXPECT_EQ(c[0], quarters);
    EXPECT_EQ(c[1], std::max<int64_t>(top, 0));
    EXPECT_EQ(c[2], bits);
    EXPECT_EQ(c[3], n % 1001);
    EXPECT_EQ(c[4], 5);
    EXPECT_EQ(c[7], 2 * n);
    EXPECT_EQ(total.values()[0], float(n));
    for (int t = 0; t < n; ++t) {
      const int l = t % 32, *w = &x[t - l], *o = &got[t * 20], v = x[t];
      const auto lane = [&](int k) { return w[k]; };
      uint32_t odd = 0, same = 0, total_sum = 0, parity = 0, all_same = ~0u;
      int low = INT32_MAX;
      for (int k = 0; k < 32; ++k) {
        odd |= uint32_t(w[k] & 1) << k;
        same |= uint32_t((w[k] & 3) == (v & 3)) << k;
        if (w[k] >> 20 != v >> 20) all_same = 0;
        total_sum += uint32_t(w[k]);
        parity ^= uint32_t(w[k]);
        low = std::min(low, w[k]);
      }
      int odd_in_block = 0;
      bool above = true, present = false;
      for (int k = 0; k < threads; ++k) {
        const int u = x[t / threads * threads + k];
        odd_in_block += u & 1;
        above = above && u > -1000;
        present = present || u == 1 << 30;
      }
      const uint32_t peers = v & 1 ? odd : ~odd;
      const int first = lane(std::countr_zero(peers));
      const int want[] = {int(odd),
                          (v & 1 ? std::popcount(odd & ((1u << l) - 1)) : 0) + first,
                          lane(l >= 3 ? l - 3 : l),
                          lane(l + 5 < 32 ? l + 5 : l),
                          lane(l ^ 7),
                          lane(l * 3 % 32),
                          lane(l % 8 >= 2 ? l - 2 : l),
                          lane(l % 8 + 3 < 8 ? l + 3 : l),
                          lane(l / 8 * 8 + 5),
                          std::any_of(w, w + 32, [](int u) { return u == 7; }),
                          1,
                          int(same),
                          int(all_same),
                          all_same != 0,
                          int(total_sum),
                          low,
                          int(parity),
                          odd_in_block,
                          above,
                          present};
      for (int k = 0; k < 20; ++k) ASSERT_EQ(o[k], want[k]) << "result " << k << " of thread " << t;
    }
  }
}

TEST(Cover, CarriesAreExact) {
  __extension__ typedef unsigned __int128 Wide;
  std::mt19937_64 random(10);
  std::vector<uint32_t> x(32 * 6);
  std::vector<uint64_t> wide(32 * 4);
  // Many words of ones and zeros, which carry all the way.
  for (uint32_t& v : x) v = random() % 3 == 0 ? uint32_t(random()) : random() % 2 == 0 ? ~0u : uint32_t(random() % 2);
  for (uint64_t& v : wide) v = random() % 3 == 0 ? random() : random() % 2 == 0 ? ~uint64_t{0} : random() % 2;
  Array<uint32_t> dx(x), r(32 * 12);
  Array<uint64_t> dwide(wide), q(32 * 6);
  expect_clean(run(module(), "carries", {}, {}, dx.get(), r.get(), dwide.get(), q.get()));
  const std::vector<uint32_t> got = r.values();
  const std::vector<uint64_t> got_wide = q.values();
  for (int t = 0; t < 32; ++t) {
    const uint32_t *a = &x[t * 6], *b = a + 3, *o = &got[t * 12];
    const auto three = [](const uint32_t* w) { return Wide(w[2]) << 64 | Wide(w[1]) << 32 | w[0]; };
    const auto expect = [&](const uint32_t* words, Wide value, int count) {
      for (int k = 0; k < count; ++k) EXPECT_EQ(words[k], uint32_t(value >> 32 * k)) << "word " << k << " of " << t;
    };
    expect(o, three(a) + three(b), 3);
    expect(o + 3, three(a) - three(b), 3);
    expect(o + 6, Wide(a[0]) * b[0] + three(b) + (Wide(a[1]) * b[0] << 64), 3);
    expect(o + 9, (Wide(a[0]) * b[0] >> 32) + a[1], 2);
    expect(o + 11, (Wide(a[0]) + b[0]) >> 32, 1);
    const uint64_t *c = &wide[t * 4], *d = c + 2, *p = &got_wide[t * 6];
    const auto two = [](const uint64_t* w) { return Wide(w[1]) << 64 | w[0]; };
    EXPECT_TRUE(two(p) == two(c) + two(d)) << t;
    EXPECT_TRUE(two(p + 2) == two(c) - two(d)) << t;
    EXPECT_TRUE(two(p + 4) == Wide(c[0]) * d[0] + (Wide(d[1]) << 64 | c[1])) << t;
  }
}

TEST(Cover, CallsAndPrintf) {
  const auto faults = load_ptx("faults");
  Array<float> y(32);
  expect_clean(run(*faults, "calls", {}, {}, y.get()));
  const std::vector<float> got = y.values();
  for (int t = 0; t < 32; ++t) {
    float want = float(t);
    for (int k = 0; k < t % 5; ++k) want = want * 2 + float(t % 5);
    EXPECT_EQ(got[t], want + (t & 1 ? 10.f : 0.f)) << t;
  }
  testing::internal::CaptureStdout();
  expect_clean(run(*faults, "print", {}, {}, 9));
  std::fflush(stdout);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "thread 0 of 9: 0.00 text\nthread 1 of 9: 0.50 text\n");
}

TEST(Cover, CountersSeeSectorsAndBankConflicts) {
  const auto kernels = load_ptx("kernels");
  const int n = 64, depth = 64;
  Array<uint16_t> a(std::vector<uint16_t>(n * depth, 0x3f80)), b(std::vector<uint16_t>(depth * n, 0x3f80));
  Array<float> c(n * n);
  const LaunchResult r =
      run(*kernels, "gemm", {.block = {128, 1, 1}}, {.counters = true}, a.get(), b.get(), c.get(), n, depth);
  expect_clean(r);
  LineCounters sum;
  for (const auto& [line, counters] : r.lines) sum += counters;
  EXPECT_EQ(sum.mma, uint64_t(n / 16) * (n / 8) * (depth / 16));
  EXPECT_EQ(sum.global_sectors, sum.global_ideal_sectors);
  EXPECT_EQ(sum.global_read_bytes, uint64_t(2) * n * depth * 2);
  EXPECT_EQ(sum.global_written_bytes, uint64_t(n) * n * 4);
}

}  // namespace
}  // namespace softgpu
